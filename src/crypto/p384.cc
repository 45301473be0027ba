// SPDX-License-Identifier: Apache-2.0
#include "crypto/p384.h"

#include <gmp.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#include "base/secret.h"

namespace casemate::crypto::p384 {
namespace {

static_assert(GMP_NUMB_BITS == 64, "limbs are taken to be whole 64-bit words");
static_assert(sizeof(mp_limb_t) == sizeof(std::uint64_t));

constexpr std::size_t kLimbs = 6;
using Limbs = std::array<mp_limb_t, kLimbs>;

// The group order n (SP 800-186, 3.2.1.4), least significant limb first.
constexpr Limbs kOrder = {0xecec196accc52973, 0x581a0db248b0a77a, 0xc7634d81f4372ddf,
                          0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff};

Limbs to_limbs(ByteView big_endian) {
  CASEMATE_CHECK(big_endian.size() == kFieldSize);
  Limbs limbs;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    mp_limb_t limb = 0;
    for (std::size_t j = 0; j < 8; ++j) limb = limb << 8 | big_endian[kFieldSize - 8 * (i + 1) + j];
    limbs[i] = limb;
  }
  return limbs;
}

void to_bytes(const Limbs& limbs, std::span<std::uint8_t, kFieldSize> out) {
  for (std::size_t i = 0; i < kFieldSize; ++i) {
    out[kFieldSize - 1 - i] = static_cast<std::uint8_t>(limbs[i / 8] >> (8 * (i % 8)));
  }
}

mp_limb_t is_zero(const Limbs& limbs) {
  mp_limb_t any = 0;
  for (const mp_limb_t limb : limbs) any |= limb;
  return 1 ^ ((any | (0 - any)) >> 63);
}

// below_order is the borrow of limbs - n.
mp_limb_t below_order(const Limbs& limbs) {
  mp_limb_t borrow = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const mp_limb_t difference = limbs[i] - kOrder[i];
    const mp_limb_t borrow_out = static_cast<mp_limb_t>(limbs[i] < kOrder[i]) |
                                 (static_cast<mp_limb_t>(difference == 0) & borrow);
    borrow = borrow_out;
  }
  return borrow;
}

bool in_range(const Limbs& limbs) { return (below_order(limbs) & (1 ^ is_zero(limbs))) == 1; }

// Both itches are near 500 limbs in nettle 3.8 to 3.10; the check turns a larger one into a loud end.
constexpr std::size_t kScratchLimbs = 2048;

}  // namespace

std::optional<Point> load_point(ByteView x, ByteView y) {
  if (x.size() != kFieldSize || y.size() != kFieldSize) return std::nullopt;
  mpz_t xz;
  mpz_t yz;
  mpz_init(xz);
  mpz_init(yz);
  mpz_import(xz, x.size(), 1, 1, 1, 0, x.data());
  mpz_import(yz, y.size(), 1, 1, 1, 0, y.data());
  ecc_point point;
  ecc_point_init(&point, nettle_get_secp_384r1());
  const bool on_curve = ecc_point_set(&point, xz, yz) == 1;
  ecc_point_clear(&point);
  mpz_clear(xz);
  mpz_clear(yz);
  if (!on_curve) return std::nullopt;
  Point out;
  const Limbs x_limbs = to_limbs(x);
  const Limbs y_limbs = to_limbs(y);
  for (std::size_t i = 0; i < kLimbs; ++i) {
    out.limbs[i] = x_limbs[i];
    out.limbs[kLimbs + i] = y_limbs[i];
  }
  return out;
}

bool scalar_in_range(ByteView scalar) {
  if (scalar.size() != kFieldSize) return false;
  Limbs limbs = to_limbs(scalar);
  const bool verdict = in_range(limbs);
  zeroize(limbs.data(), sizeof limbs);
  return verdict;
}

bool verify(const Point& key, ByteView digest, ByteView signature) {
  if (signature.size() != 2 * kFieldSize) return false;
  const Limbs r = to_limbs(signature.first(kFieldSize));
  const Limbs s = to_limbs(signature.subspan(kFieldSize));
  if (!in_range(r) || !in_range(s)) return false;
  const ecc_curve* curve = nettle_get_secp_384r1();
  CASEMATE_CHECK(static_cast<std::size_t>(ecc_ecdsa_verify_itch(curve)) <= kScratchLimbs);
  std::array<mp_limb_t, 2 * kLimbs> point;
  for (std::size_t i = 0; i < point.size(); ++i) point[i] = key.limbs[i];
  std::array<mp_limb_t, kScratchLimbs> scratch;
  return ecc_ecdsa_verify(curve, point.data(), digest.size(), digest.data(), r.data(), s.data(), scratch.data()) == 1;
}

bool sign_with_nonce(ByteView key, ByteView nonce, ByteView digest, std::span<std::uint8_t, 96> signature) {
  const ecc_curve* curve = nettle_get_secp_384r1();
  CASEMATE_CHECK(static_cast<std::size_t>(ecc_ecdsa_sign_itch(curve)) <= kScratchLimbs);
  struct Wiped {
    Limbs key;
    Limbs nonce;
    std::array<mp_limb_t, kScratchLimbs> scratch;
    ~Wiped() { zeroize(this, sizeof *this); }
  } secret;
  secret.key = to_limbs(key);
  secret.nonce = to_limbs(nonce);
  if (!in_range(secret.nonce)) return false;
  Limbs r;
  Limbs s;
  ecc_ecdsa_sign(curve, secret.key.data(), secret.nonce.data(), digest.size(), digest.data(), r.data(), s.data(),
                 secret.scratch.data());
  if (is_zero(r) == 1 || is_zero(s) == 1) return false;
  to_bytes(r, signature.first<kFieldSize>());
  to_bytes(s, signature.last<kFieldSize>());
  return true;
}

}  // namespace casemate::crypto::p384
