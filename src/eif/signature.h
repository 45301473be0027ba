// SPDX-License-Identifier: Apache-2.0
// The signature section: a list of {certificate, COSE_Sign1 over PCR0}, of which the first counts.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/clock.h"
#include "cose/sign1.h"
#include "crypto/ecdsa.h"
#include "eif/measure.h"

namespace casemate::eif {

// Signature is the first one of a section, read but not verified.
struct Signature {
  std::string certificate_pem;  // the whole file that was given when signing
  Bytes certificate;            // DER of its first certificate: what PCR8 measures
  Bytes cose;                   // COSE_Sign1, untagged
  Sha384 pcr0{};                // the register value that the payload holds
};

// parse_signature reads a section's data. Certificate and signature are arrays of integers, not byte strings: that is
// how AWS's tools write them; byte strings are read, too. Errors: kMalformed, kUnsupported, kLimit.
Result<Signature> parse_signature(ByteView section);

// verify checks the signature under the certificate's key and, with `now`, that the certificate is valid then. Whether
// anybody trusts the certificate is not asked: PCR8 is for that. Errors: kUntrusted, kMalformed (certificate).
Result<void> verify(const Signature& signature, std::optional<WallTime> now);

// ElsewhereKey is a private key that a service keeps.
struct ElsewhereKey {
  crypto::EcPublicKey public_key;
  cose::SignDigest sign;
};

struct SigningKey {
  std::string certificate_pem;
  std::variant<crypto::EcPrivateKey, ElsewhereKey> key;
};

// parse_signing_key reads a PEM certificate and a PEM key and checks that they belong together and that the
// certificate is valid at `now`. Errors: kMalformed, kUnsupported (RSA), kUntrusted (mismatch, expired).
Result<SigningKey> parse_signing_key(std::string certificate_pem, std::string_view key_pem, WallTime now);

// check_signing_certificate checks a PEM certificate against the key that signs with it and the time. Errors: as above.
Result<void> check_signing_certificate(std::string_view certificate_pem, const crypto::EcPublicKey& key, WallTime now);

// encode_signature signs PCR0 and gives the section's data. Errors: kLimit (32 KiB, the format's bound), those of the
// service that keeps the key.
Result<Bytes> encode_signature(const SigningKey& signing, const Sha384& pcr0, Rng& rng);

// certificate_of gives the DER of the first certificate in a PEM file. Errors: kMalformed.
Result<Bytes> certificate_of(std::string_view pem);

}  // namespace casemate::eif
