// SPDX-License-Identifier: Apache-2.0
#include "attestation/trust.h"

#include "attestation/profile.h"

namespace casemate::attestation {
namespace {

struct Builtin {
  std::string_view name;
  crypto::Sha256 fingerprint;
};

// SHA-256 of the DER of the partitions' published roots: CN=aws.nitro-enclaves (AWS_NitroEnclaves_Root-G1) and
// CN=aws-us-gov.nitro-enclaves (AWS GovCloud (US) User Guide, "AWS Nitro Enclaves").
constexpr Builtin kBuiltins[] = {
    {"aws", {0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
             0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b}},
    {"aws-us-gov", {0x20, 0xbc, 0xd3, 0x0a, 0x3e, 0x16, 0x8e, 0xa0, 0x37, 0x89, 0xe1, 0xc4, 0x59, 0x12, 0xbc, 0x12,
                    0x3c, 0x4d, 0xe3, 0xc9, 0x77, 0xb8, 0xa6, 0xe1, 0xc1, 0x25, 0xc7, 0x92, 0x9d, 0x66, 0x8b, 0x3b}},
};

}  // namespace

TrustAnchors TrustAnchors::aws() {
  TrustAnchors anchors;
  anchors.add(kBuiltins[0].name, kBuiltins[0].fingerprint);
  return anchors;
}

Result<void> TrustAnchors::add_builtin(std::string_view name) {
  for (const Builtin& builtin : kBuiltins) {
    if (builtin.name != name) continue;
    add(builtin.name, builtin.fingerprint);
    return {};
  }
  return not_found("trust anchor \"{}\": not built in, want aws or aws-us-gov", name);
}

Result<void> TrustAnchors::add_pem(std::string_view name, std::string_view pem) {
  const std::string step = fmt::format("trust anchor {}", name);
  const std::vector<Bytes> blocks = TRY(x509::parse_certificates_pem(pem).in(step));
  if (blocks.size() != 1) return malformed("{}: {} certificates, want one root", step, blocks.size());
  const x509::Certificate root = TRY(x509::parse_certificate(blocks[0]).in(step));
  const crypto::EcPublicKey key = TRY(check_profile(root, Role::kRoot, 0).in(step));
  if (!equal(root.issuer, root.subject)) {
    return untrusted("{}: issued by {}, want a self-signed root", step, x509::name_text(root.issuer));
  }
  TRY(x509::verify_signature(root, key).in(step));
  add(name, crypto::sha256(blocks[0]));
  return {};
}

void TrustAnchors::add(std::string_view name, const crypto::Sha256& fingerprint) {
  if (find(fingerprint) == nullptr) anchors_.push_back({std::string(name), fingerprint});
}

const TrustAnchor* TrustAnchors::find(const crypto::Sha256& fingerprint) const {
  for (const TrustAnchor& anchor : anchors_) {
    if (anchor.fingerprint == fingerprint) return &anchor;
  }
  return nullptr;
}

std::string TrustAnchors::names() const {
  std::string text;
  for (const TrustAnchor& anchor : anchors_) {
    if (!text.empty()) text += ", ";
    text += anchor.name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace casemate::attestation
