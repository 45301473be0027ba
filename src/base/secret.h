// SPDX-License-Identifier: Apache-2.0
// Secret: key material and plaintext. Move-only, zeroed on destruction, not formattable, compared in constant time.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/bytes.h"

namespace casemate {

// zeroize clears memory in a way that the optimizer keeps.
void zeroize(void* data, std::size_t size);

// equal_constant_time depends on the lengths only, never on the content.
bool equal_constant_time(ByteView a, ByteView b);

class Secret {
 public:
  Secret() = default;
  explicit Secret(Bytes&& bytes) : bytes_(std::move(bytes)) {}
  static Secret copy_of(ByteView bytes) { return Secret(to_bytes(bytes)); }
  static Secret of_size(std::size_t size) { return Secret(Bytes(size)); }

  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { clear(); }

  // expose is the one way in; grep for it.
  ByteView expose() const { return bytes_; }
  std::span<std::uint8_t> expose_mutable() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // truncate keeps the first `size` bytes and zeroes the rest.
  void truncate(std::size_t size);
  Secret clone() const { return copy_of(bytes_); }
  void clear();

  friend bool operator==(const Secret& a, const Secret& b) { return equal_constant_time(a.bytes_, b.bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace casemate
