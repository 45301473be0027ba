// SPDX-License-Identifier: Apache-2.0
#include "eif/crc32.h"

#include <array>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace casemate::eif {

namespace {

constexpr std::uint32_t kPolynomial = 0xedb88320;  // reflected

constexpr std::size_t kSlices = 8;
using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ kPolynomial : value >> 1;
    tables[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t below = tables[slice - 1][byte];
      tables[slice][byte] = below >> 8 ^ tables[0][below & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

// Eight bytes a step by table ("slicing by 8"); `state` is the inverted checksum.
std::uint32_t update_by_table(std::uint32_t state, ByteView data) {
  while (data.size() >= kSlices) {
    std::uint32_t low = 0;
    for (std::size_t i = 0; i < 4; ++i) low |= std::uint32_t{data[i]} << (8 * i);
    low ^= state;
    state = kTables[7][low & 0xff] ^ kTables[6][low >> 8 & 0xff] ^ kTables[5][low >> 16 & 0xff] ^ kTables[4][low >> 24] ^
            kTables[3][data[4]] ^ kTables[2][data[5]] ^ kTables[1][data[6]] ^ kTables[0][data[7]];
    data = data.subspan(kSlices);
  }
  for (const std::uint8_t byte : data) state = state >> 8 ^ kTables[0][(state ^ byte) & 0xff];
  return state;
}

#ifdef __x86_64__
constexpr std::size_t kFoldBytes = 64;

// x^n mod P, bit-reflected as the folding constants need it.
constexpr std::uint64_t power_of_x(int n) {
  std::uint32_t value = 0x80000000;  // x^0
  for (int i = 0; i < n; ++i) value = (value & 1) != 0 ? value >> 1 ^ kPolynomial : value >> 1;
  return std::uint64_t{value} << 1;
}

// Carry-less multiplication folds 64 bytes a step; what remains of the fold, 16 bytes, goes through the table, which
// makes the Barrett reduction unnecessary. `data` is a multiple of 64 bytes, at least 64.
__attribute__((target("pclmul,sse4.1"))) std::uint32_t update_by_folding(std::uint32_t state, ByteView data) {
  const auto load = [&data](std::size_t offset) __attribute__((target("pclmul,sse4.1"))) {
    __m128i block;
    std::memcpy(&block, data.data() + offset, sizeof block);
    return block;
  };
  const auto fold = [](__m128i block, __m128i constants) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_xor_si128(_mm_clmulepi64_si128(block, constants, 0x00), _mm_clmulepi64_si128(block, constants, 0x11));
  };
  constexpr std::uint64_t k1 = power_of_x(4 * 128 + 32);
  constexpr std::uint64_t k2 = power_of_x(4 * 128 - 32);
  constexpr std::uint64_t k3 = power_of_x(128 + 32);
  constexpr std::uint64_t k4 = power_of_x(128 - 32);
  const __m128i by_64 = _mm_set_epi64x(static_cast<long long>(k2), static_cast<long long>(k1));
  const __m128i by_16 = _mm_set_epi64x(static_cast<long long>(k4), static_cast<long long>(k3));

  __m128i x0 = _mm_xor_si128(load(0), _mm_cvtsi32_si128(static_cast<int>(state)));
  __m128i x1 = load(16);
  __m128i x2 = load(32);
  __m128i x3 = load(48);
  for (data = data.subspan(kFoldBytes); !data.empty(); data = data.subspan(kFoldBytes)) {
    x0 = _mm_xor_si128(fold(x0, by_64), load(0));
    x1 = _mm_xor_si128(fold(x1, by_64), load(16));
    x2 = _mm_xor_si128(fold(x2, by_64), load(32));
    x3 = _mm_xor_si128(fold(x3, by_64), load(48));
  }
  x0 = _mm_xor_si128(fold(x0, by_16), x1);
  x0 = _mm_xor_si128(fold(x0, by_16), x2);
  x0 = _mm_xor_si128(fold(x0, by_16), x3);
  std::array<std::uint8_t, 16> rest;
  std::memcpy(rest.data(), &x0, rest.size());
  return update_by_table(0, rest);
}
#endif

}  // namespace

std::uint32_t crc32(std::uint32_t crc, ByteView data) {
  std::uint32_t state = ~crc;
#ifdef __x86_64__
  static const bool folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  if (folds && data.size() >= 4 * kFoldBytes) {
    const std::size_t whole = data.size() / kFoldBytes * kFoldBytes;
    state = update_by_folding(state, data.first(whole));
    data = data.subspan(whole);
  }
#endif
  return ~update_by_table(state, data);
}

namespace {

// Product of two polynomials mod P, bit-reflected: x^0 is the highest bit.
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 0x80000000; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b & 1) != 0 ? b >> 1 ^ kPolynomial : b >> 1;
  }
  return product;
}

}  // namespace

std::uint32_t combine_crc32(std::uint32_t first, std::uint32_t second, std::uint64_t second_bytes) {
  std::uint32_t power = 0x00800000;  // x^8: one byte
  for (; second_bytes != 0; second_bytes >>= 1) {
    if ((second_bytes & 1) != 0) first = multiply(first, power);
    power = multiply(power, power);
  }
  return first ^ second;
}

}  // namespace casemate::eif
