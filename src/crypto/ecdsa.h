// SPDX-License-Identifier: Apache-2.0
// ECDSA over the NIST curves (FIPS 186-5): keys as owned values, signatures as fixed-width r||s over a digest.
//
// P-384 is the hot path of attestation and runs on nettle's elliptic curve code, which signs about seven times and
// verifies about twice as fast as OpenSSL 3.0 (bench/attestation prints both). P-256 and P-521 run on OpenSSL.
//
// Constant time: signing with P-384 makes no branch and no memory access that depends on the private key or the
// nonce. nettle multiplies by the base point with a fixed schedule of table reads through mpn_sec_tabselect, reduces
// with conditional additions, and inverts with a fixed number of steps; GMP's mpn_sec_* functions promise the same.
// Our part converts between bytes and limbs at fixed width and keeps nonce, key limbs and scratch in memory that is
// zeroed. The one loop that depends on the nonce is the rejection of a candidate not in [1, n-1], which is thrown
// away and says nothing of the one used. The nonce is HMAC-SHA-512 under the private key of the digest and fresh
// randomness, so a broken random source cannot repeat it for two messages. Verifying handles public data only and is
// not constant time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/digest.h"

namespace casemate::crypto {

enum class Curve { kP256, kP384, kP521 };

std::string_view to_string(Curve curve);  // "P-384"

// field_size is the width in bytes of a coordinate and of each half of a signature: 32, 48, 66.
std::size_t field_size(Curve curve);

// matching_hash is the SHA-2 that COSE and X.509 pair with the curve.
Hash matching_hash(Curve curve);

// EcPublicKey: a point that is on its curve and not at infinity. Copies share the immutable value.
class EcPublicKey {
 public:
  // from_point reads `04 || x || y` (SEC 1, 2.3.4); compressed points are kUnsupported. Errors: kMalformed.
  static Result<EcPublicKey> from_point(Curve curve, ByteView point);
  // from_spki_der reads a SubjectPublicKeyInfo (RFC 5480) with a named curve and an uncompressed point, exactly as
  // spki_der writes it. Errors: kMalformed, kUnsupported (another key type or curve).
  static Result<EcPublicKey> from_spki_der(ByteView der);
  // from_pem reads one "PUBLIC KEY" block.
  static Result<EcPublicKey> from_pem(std::string_view pem);

  Curve curve() const;
  ByteView point() const;  // 04 || x || y
  Bytes spki_der() const;
  std::string pem() const;

  // verify is true if `signature` (r||s, field_size each) holds over `digest` for this key; a wrong length, and r or
  // s outside [1, n-1], are false. Both halves of the s range are accepted, as AWS's signers use both.
  bool verify(ByteView digest, ByteView signature) const;

  friend bool operator==(const EcPublicKey& a, const EcPublicKey& b) {
    return a.curve() == b.curve() && equal(a.point(), b.point());
  }

 private:
  struct State;
  explicit EcPublicKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// EcPrivateKey: a scalar in [1, n-1] and its public key. Move-only; zeroed on destruction.
class EcPrivateKey {
 public:
  static EcPrivateKey generate(Curve curve, Rng& rng);
  // from_scalar reads a big-endian scalar of field_size bytes. Errors: kMalformed (length, zero, not below n).
  static Result<EcPrivateKey> from_scalar(Curve curve, const Secret& scalar);
  // from_der reads PKCS#8 or SEC 1; from_pem one block of either, unencrypted. Errors: kMalformed, kUnsupported.
  static Result<EcPrivateKey> from_der(ByteView der);
  static Result<EcPrivateKey> from_pem(std::string_view pem);

  Curve curve() const { return public_key_.curve(); }
  const EcPublicKey& public_key() const { return public_key_; }
  const Secret& scalar() const { return scalar_; }
  EcPrivateKey clone() const { return {scalar_.clone(), public_key_}; }

  // pkcs8_der and pkcs8_pem write RFC 5208 with a named curve.
  Secret pkcs8_der() const;
  Secret pkcs8_pem() const;

  // sign gives r||s over `digest`, whose size should be that of matching_hash(); longer ones are cut (FIPS 186-5, 6.4).
  // `rng` feeds the nonce for P-384; the other curves use OpenSSL's generator.
  Bytes sign(ByteView digest, Rng& rng) const;

 private:
  EcPrivateKey(Secret scalar, EcPublicKey public_key)
      : scalar_(std::move(scalar)), public_key_(std::move(public_key)) {}
  Secret scalar_;
  EcPublicKey public_key_;
};

// The same operations by OpenSSL whatever the curve: the second opinion of tests, and what bench/attestation
// compares the provider with.
namespace reference {
Bytes sign(const EcPrivateKey& key, ByteView digest);
bool verify(const EcPublicKey& key, ByteView digest, ByteView signature);
}  // namespace reference

}  // namespace casemate::crypto
