// SPDX-License-Identifier: Apache-2.0
#include "cli/zeroing/zeroing_allocator.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <string.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

// What a failed allocation leaves to do; code here has no exceptions to give.
[[noreturn]] void out_of_memory() {
  std::fputs("out of memory\n", stderr);
  std::abort();
}

void* allocate(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) out_of_memory();
  return memory;
}

void* allocate_aligned(std::size_t size, std::align_val_t alignment) {
  const auto boundary = static_cast<std::size_t>(alignment);
  void* const memory = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
  if (memory == nullptr) out_of_memory();
  return memory;
}

// The usable size may exceed what was asked for, and a container may have used it.
void release(void* memory) noexcept {
  if (memory == nullptr) return;
  explicit_bzero(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

void* openssl_allocate(std::size_t size, const char*, int) {
  return size == 0 ? nullptr : std::malloc(size);
}

// realloc(3) would leave a copy behind when it moves.
void* openssl_reallocate(void* old, std::size_t size, const char*, int) {
  if (old == nullptr) return size == 0 ? nullptr : std::malloc(size);
  if (size == 0) {
    release(old);
    return nullptr;
  }
  void* const memory = std::malloc(size);
  if (memory == nullptr) return nullptr;
  const std::size_t had = ::malloc_usable_size(old);
  memcpy(memory, old, had < size ? had : size);
  release(old);
  return memory;
}

void openssl_release(void* memory, const char*, int) {
  release(memory);
}

}  // namespace

namespace casemate::cli {

void clear_openssl_memory() {
  if (CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release) != 1) {
    std::fputs("bug: OpenSSL was used before its allocator was set\n", stderr);
    std::abort();
  }
}

}  // namespace casemate::cli

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_aligned(size, alignment);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}
