// SPDX-License-Identifier: Apache-2.0
#include "base/secret.h"

#include <string.h>

namespace casemate {

void zeroize(void* data, std::size_t size) {
  if (size != 0) explicit_bzero(data, size);
}

bool equal_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  volatile std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = static_cast<std::uint8_t>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    clear();
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

void Secret::truncate(std::size_t size) {
  if (size >= bytes_.size()) return;
  zeroize(bytes_.data() + size, bytes_.size() - size);
  bytes_.resize(size);
}

void Secret::clear() {
  zeroize(bytes_.data(), bytes_.size());
  bytes_.clear();
}

}  // namespace casemate
