// SPDX-License-Identifier: Apache-2.0
// X.509 v3 certificates (RFC 5280): shape by our own strict DER reader, and what we take from it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/ecdsa.h"

namespace casemate::x509 {

// Seconds since the epoch, UTC; certificates reach far beyond what nanoseconds can hold.
using Seconds = std::int64_t;
constexpr Seconds to_seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// SignatureAlgorithm: those that this project makes or checks; anything else is kOther and verifies nothing.
enum class SignatureAlgorithm { kEcdsaSha256, kEcdsaSha384, kEcdsaSha512, kOther };

struct NameAttribute {
  std::string type;  // long name as OpenSSL spells it ("commonName"), or the dotted OID
  std::string value;
};

enum KeyUsage : std::uint16_t {
  kDigitalSignature = 1 << 0,
  kNonRepudiation = 1 << 1,
  kKeyEncipherment = 1 << 2,
  kDataEncipherment = 1 << 3,
  kKeyAgreement = 1 << 4,
  kKeyCertSign = 1 << 5,
  kCrlSign = 1 << 6,
  kEncipherOnly = 1 << 7,
  kDecipherOnly = 1 << 8,
};

// Certificate is parsed and untrusted; views alias the DER it was read from.
struct Certificate {
  ByteView der;
  ByteView tbs;      // what the signature covers
  ByteView serial;   // content octets
  ByteView issuer;   // whole Name, tag included
  ByteView subject;
  Seconds not_before = 0;
  Seconds not_after = 0;
  ByteView public_key;  // whole SubjectPublicKeyInfo
  SignatureAlgorithm signature_algorithm = SignatureAlgorithm::kOther;
  ByteView signature_algorithm_oid;  // content octets
  ByteView signature;                // DER of ECDSA-Sig-Value for the ECDSA ones

  struct BasicConstraints {
    bool critical = false;
    bool ca = false;
    std::optional<std::uint64_t> path_length;
  };
  struct KeyUsages {
    bool critical = false;
    std::uint16_t bits = 0;  // KeyUsage
  };
  std::optional<BasicConstraints> basic_constraints;
  std::optional<KeyUsages> key_usage;
  std::optional<ByteView> subject_key_id;
  std::optional<ByteView> authority_key_id;
  // Dotted OID of the first critical extension that is not one of the above.
  std::optional<std::string> unknown_critical;
};

enum class Versions {
  kOnly3,
  kAlso1,  // for certificates that only name a key: `openssl x509 -req` makes them without extensions
};

// parse_certificate reads DER strictly: shortest lengths, no trailing bytes, version 3 unless told otherwise, inner and
// outer signature algorithms alike, no extension twice. Time order, names and signature are not checked. Errors:
// kMalformed, kUnsupported (version).
Result<Certificate> parse_certificate(ByteView der, Versions versions = Versions::kOnly3);

// parse_name lists the attributes of a Name in their order.
Result<std::vector<NameAttribute>> parse_name(ByteView name);
// name_text gives `CN=...,OU=...` in the order of the certificate, with other types as dotted OIDs.
std::string name_text(ByteView name);
// common_name is empty if there is none.
std::string common_name(ByteView name);

// verify_signature checks that `issuer_key` signed the certificate. Errors: kUntrusted, kUnsupported (algorithm).
Result<void> verify_signature(const Certificate& certificate, const crypto::EcPublicKey& issuer_key);

// fixed_signature turns ECDSA-Sig-Value (RFC 3279, 2.2.3) into r||s of 2 * half bytes. Errors: kMalformed.
Result<Bytes> fixed_signature(ByteView der_signature, std::size_t half);

// dotted_oid renders content octets of an OBJECT IDENTIFIER; `?` if they are not one.
std::string dotted_oid(ByteView content);

// PEM "CERTIFICATE" blocks. parse_certificates_pem ignores text between blocks. Errors: kMalformed.
Result<std::vector<Bytes>> parse_certificates_pem(std::string_view pem);
std::string certificate_pem(ByteView der);

}  // namespace casemate::x509
