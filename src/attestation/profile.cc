// SPDX-License-Identifier: Apache-2.0
#include "attestation/profile.h"

namespace casemate::attestation {
namespace {

Result<void> check_authority(const x509::Certificate& certificate, Role role, std::size_t authorities_below) {
  const auto& constraints = certificate.basic_constraints;
  if (!constraints) return untrusted("basicConstraints: missing, want a CA's");
  if (!constraints->ca) return untrusted("basicConstraints: CA false, want true");
  if (!constraints->critical) return untrusted("basicConstraints: not critical");
  if (constraints->path_length) {
    if (*constraints->path_length < authorities_below) {
      return untrusted("basicConstraints: path length {} exceeded, {} authorities below", *constraints->path_length, authorities_below);
    }
  } else if (role != Role::kRoot) {
    return untrusted("basicConstraints: no path length, want one of at least {}", authorities_below);
  }
  if (!certificate.key_usage) return untrusted("keyUsage: missing, want keyCertSign");
  if (!certificate.key_usage->critical) return untrusted("keyUsage: not critical");
  if ((certificate.key_usage->bits & x509::kKeyCertSign) == 0) return untrusted("keyUsage: {:#05x}, want keyCertSign", certificate.key_usage->bits);
  return {};
}

Result<void> check_leaf(const x509::Certificate& certificate) {
  const auto& constraints = certificate.basic_constraints;
  if (!constraints) return untrusted("basicConstraints: missing, want CA false");
  if (constraints->ca) return untrusted("basicConstraints: CA true, want false");
  if (constraints->path_length) return untrusted("basicConstraints: a path length, want none");
  if (!certificate.key_usage) return untrusted("keyUsage: missing, want digitalSignature");
  if ((certificate.key_usage->bits & x509::kDigitalSignature) == 0) {
    return untrusted("keyUsage: {:#05x}, want digitalSignature", certificate.key_usage->bits);
  }
  if ((certificate.key_usage->bits & x509::kKeyCertSign) != 0) return untrusted("keyUsage: keyCertSign, want none");
  return {};
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kRoot: return "root";
    case Role::kAuthority: return "authority";
    case Role::kLeaf: return "leaf";
  }
  CASEMATE_CHECK(false);
}

Result<crypto::EcPublicKey> check_profile(const x509::Certificate& certificate, Role role, std::size_t authorities_below) {
  if (certificate.signature_algorithm != x509::SignatureAlgorithm::kEcdsaSha384) {
    return untrusted("signature algorithm: {}, want 1.2.840.10045.4.3.3 (ecdsa-with-SHA384)", x509::dotted_oid(certificate.signature_algorithm_oid));
  }
  auto key = crypto::EcPublicKey::from_spki_der(certificate.public_key);
  if (!key.ok()) return untrusted("{}", key.error().message());
  if (key->curve() != crypto::Curve::kP384) return untrusted("public key: {}, want P-384", crypto::to_string(key->curve()));
  if (certificate.unknown_critical) return untrusted("extensions: critical {}, which is not known here", *certificate.unknown_critical);
  TRY(role == Role::kLeaf ? check_leaf(certificate) : check_authority(certificate, role, authorities_below));
  return key.take();
}

}  // namespace casemate::attestation
