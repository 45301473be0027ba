// SPDX-License-Identifier: Apache-2.0
// COSE_Sign1 (RFC 9052, 4.2) as Nitro uses it: one algorithm in the protected header, an empty unprotected one.
#pragma once

#include <functional>

#include "base/clock.h"
#include "crypto/ecdsa.h"

namespace casemate::cose {

// Algorithm values are those of the IANA registry.
enum class Algorithm : std::int32_t { kEs256 = -7, kEs384 = -35, kEs512 = -36 };

std::string_view to_string(Algorithm algorithm);  // "ES384"
// curve_of is the one curve that AWS's COSE pairs with the algorithm; algorithm_of the reverse.
crypto::Curve curve_of(Algorithm algorithm);
Algorithm algorithm_of(crypto::Curve curve);

// Tagging: real attestation documents and EIF signatures carry no tag 18; readers take both.
enum class Tagging { kUntagged, kTagged };

struct Limits {
  std::size_t payload_bytes = 16384;
};

// Sign1 is a parsed, unverified message. Views alias the input.
struct Sign1 {
  Tagging tagging = Tagging::kUntagged;
  Algorithm algorithm = Algorithm::kEs384;
  ByteView protected_header;
  ByteView payload;
  ByteView signature;
};

// parse_sign1 reads shape only: [protected {1: alg}, {}, payload, r||s]. Any other header parameter, a detached payload,
// a signature of another length than the algorithm's and trailing bytes are refused. Errors: kMalformed, kUnsupported
// (algorithm), kLimit.
Result<Sign1> parse_sign1(ByteView input, const Limits& limits = {});

// signed_digest hashes Sig_structure ["Signature1", protected, h'', payload] over the bytes as received.
Bytes signed_digest(Algorithm algorithm, ByteView protected_header, ByteView payload);

// verify_signature checks the signature under `key`. Errors: kUntrusted (a key of another curve, or it does not hold).
Result<void> verify_signature(const Sign1& message, const crypto::EcPublicKey& key);

// sign1 signs `payload` with the algorithm of the key's curve.
Bytes sign1(ByteView payload, const crypto::EcPrivateKey& key, Rng& rng, Tagging tagging = Tagging::kUntagged);

// sign1_elsewhere signs with a key that is not here: `sign` takes the digest to r||s. What comes back is verified under
// `key`, so a signer that errs is noticed. Errors: those of `sign`, kUntrusted.
using SignDigest = std::function<Result<Bytes>(ByteView digest)>;
Result<Bytes> sign1_elsewhere(ByteView payload, const crypto::EcPublicKey& key, const SignDigest& sign);

}  // namespace casemate::cose
