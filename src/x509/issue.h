// SPDX-License-Identifier: Apache-2.0
// Making certificates: RFC 5280 v3, signed with ECDSA and the hash of the issuer's curve.
#pragma once

#include <string>
#include <vector>

#include "x509/certificate.h"

namespace casemate::x509 {

// RelativeName: one attribute of a Name, by the short type: C, ST, L, O, OU, CN. C is written as PrintableString, all
// others as UTF8String.
struct RelativeName {
  std::string_view type;
  std::string value;
};
Bytes encode_name(const std::vector<RelativeName>& names);

// CertificateTemplate is everything but the signature; the extensions are written in the order of the members.
struct CertificateTemplate {
  Bytes serial;  // big-endian
  Bytes issuer;  // Name, DER
  Bytes subject;
  Seconds not_before = 0;
  Seconds not_after = 0;
  Bytes public_key;  // SubjectPublicKeyInfo, DER
  std::optional<Certificate::BasicConstraints> basic_constraints;
  std::optional<Bytes> authority_key_id;
  std::optional<Bytes> subject_key_id;
  std::optional<Certificate::KeyUsages> key_usage;
  std::optional<std::string> crl_url;
};

// issue_certificate signs the template. Years must be 1950 to 9999.
Bytes issue_certificate(const CertificateTemplate& fields, const crypto::EcPrivateKey& issuer_key, Rng& rng);

// key_id is 160 bits of SHA-256 over the public point (RFC 7093, 2, method 1).
Bytes key_id(const crypto::EcPublicKey& key);

}  // namespace casemate::x509
