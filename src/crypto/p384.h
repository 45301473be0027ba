// SPDX-License-Identifier: Apache-2.0
// P-384 by nettle: the provider behind crypto/ecdsa.h, and the only file pair that knows nettle. Integers are
// big-endian and 48 bytes wide.
#pragma once

#include <array>
#include <optional>

#include "base/clock.h"

namespace casemate::crypto::p384 {

inline constexpr std::size_t kFieldSize = 48;

// Point: affine coordinates as little-endian limbs, known to satisfy the curve equation.
struct Point {
  std::array<std::uint64_t, 12> limbs;
};

// load_point checks that (x, y) are field elements on the curve.
std::optional<Point> load_point(ByteView x, ByteView y);

// scalar_in_range says whether a 48-byte integer is in [1, n-1], without branching on its value before the verdict.
bool scalar_in_range(ByteView scalar);

bool verify(const Point& key, ByteView digest, ByteView signature);

// sign tries one nonce and is false if it is not in [1, n-1] or gives r or s zero (odds below 2^-190).
bool sign_with_nonce(ByteView key, ByteView nonce, ByteView digest, std::span<std::uint8_t, 96> signature);

}  // namespace casemate::crypto::p384
