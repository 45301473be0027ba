// SPDX-License-Identifier: Apache-2.0
// Byte vocabulary: owned Bytes, borrowed ByteView, and big-endian reads of untrusted input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/vocabulary.h"

namespace casemate {

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }
inline void append(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }
inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
bool all_zero(ByteView bytes);

// store_be writes the N low bytes of `value`, most significant first.
template <std::size_t N>
void append_be(Bytes& out, std::uint64_t value) {
  static_assert(N >= 1 && N <= 8);
  for (std::size_t i = 0; i < N; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * (N - 1 - i))));
}

// ByteReader consumes a view front to back; a read beyond the end is kMalformed and consumes nothing.
class ByteReader {
 public:
  explicit ByteReader(ByteView input) : rest_(input), size_(input.size()) {}

  std::size_t offset() const { return size_ - rest_.size(); }
  ByteView rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }

  Result<std::uint8_t> read_u8() { return read_be<std::uint8_t>(); }
  Result<std::uint16_t> read_u16() { return read_be<std::uint16_t>(); }
  Result<std::uint32_t> read_u32() { return read_be<std::uint32_t>(); }
  Result<std::uint64_t> read_u64() { return read_be<std::uint64_t>(); }

  // read aliases the input.
  Result<ByteView> read(std::size_t count);

 private:
  template <typename T>
  Result<T> read_be() {
    const ByteView field = TRY(read(sizeof(T)));
    std::uint64_t value = 0;
    for (const std::uint8_t byte : field) value = value << 8 | byte;
    return static_cast<T>(value);
  }

  ByteView rest_;
  std::size_t size_;
};

}  // namespace casemate
