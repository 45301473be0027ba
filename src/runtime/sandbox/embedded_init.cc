// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/sandbox/launch.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    ".globl casemate_guest_init_begin\n"
    ".globl casemate_guest_init_end\n"
    "casemate_guest_init_begin:\n"
    ".incbin \"" CASEMATE_GUEST_INIT
    "\"\n"
    "casemate_guest_init_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const unsigned char casemate_guest_init_begin[];
extern const unsigned char casemate_guest_init_end[];
}

namespace casemate::runtime::sandbox {

Result<UniqueFd> embed_init() {
  // MFD_EXEC says that execution is meant, where vm.memfd_noexec restricts it (Linux 6.3); older kernels refuse the flag.
  UniqueFd file(::memfd_create("init", MFD_CLOEXEC | MFD_EXEC));
  if (!file && errno == EINVAL) file.reset(::memfd_create("init", MFD_CLOEXEC));
  if (!file) return errno_error("memfd_create");
  const unsigned char* next = casemate_guest_init_begin;
  while (next != casemate_guest_init_end) {
    const ssize_t count = ::write(file.get(), next, static_cast<std::size_t>(casemate_guest_init_end - next));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return errno_error("guest init");
    next += count;
  }
  return file;
}

}  // namespace casemate::runtime::sandbox
