// SPDX-License-Identifier: Apache-2.0
// Lab: attestation chains and documents to be spoilt. Tests only.
#pragma once

#include "attestation/verify.h"
#include "base/test_matchers.h"
#include "cose/sign1.h"
#include "crypto/rng.h"
#include "x509/issue.h"

namespace casemate::attestation {

// Lab makes chains like Nitro's, root first and the leaf last, and lets a test spoil one certificate of them.
class Lab {
 public:
  struct Node {
    x509::CertificateTemplate fields;
    crypto::EcPrivateKey key;
    Bytes certificate;
  };

  static constexpr std::int64_t kNowSeconds = 1765000000;
  static constexpr WallTime kNow{std::chrono::milliseconds(kNowSeconds * 1000 + 123)};

  explicit Lab(std::size_t authorities = 4) : Lab(authorities, system_rng()) {}
  // The same source gives the same chain and the same documents, byte for byte.
  Lab(std::size_t authorities, Rng& source) : rng(source) {
    for (std::size_t i = 0; i <= authorities; ++i) {
      Node node{{}, crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng), {}};
      const bool leaf = i == authorities;
      node.fields.serial = {static_cast<std::uint8_t>(i + 1)};
      node.fields.subject = x509::encode_name({{"C", "US"}, {"CN", fmt::format("level {}", i)}});
      node.fields.not_before = kNowSeconds - 3600;
      node.fields.not_after = kNowSeconds + 3600;
      node.fields.basic_constraints = x509::Certificate::BasicConstraints{true, !leaf, std::nullopt};
      if (i > 0 && !leaf) node.fields.basic_constraints->path_length = authorities - 1 - i;
      node.fields.key_usage = x509::Certificate::KeyUsages{!leaf, leaf ? std::uint16_t{x509::kDigitalSignature} : std::uint16_t{x509::kKeyCertSign}};
      nodes.push_back(std::move(node));
    }
    link();
  }

  // link fills in what depends on neighbours; call again after changing keys or subjects.
  void link() {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      nodes[i].fields.issuer = nodes[i == 0 ? 0 : i - 1].fields.subject;
      nodes[i].fields.public_key = nodes[i].key.public_key().spki_der();
    }
  }

  void issue() {
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i].certificate = x509::issue_certificate(nodes[i].fields, nodes[i == 0 ? 0 : i - 1].key, rng);
  }

  Bytes document() {
    issue();
    return signed_document();
  }

  Bytes signed_document() {
    std::vector<Bytes> bundle;
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) bundle.push_back(nodes[i].certificate);
    return document_with(bundle);
  }

  Bytes document_with(const std::vector<Bytes>& bundle) {
    statement.timestamp = kNow;
    statement.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    return cose::sign1(encode_document(statement, nodes.back().certificate, bundle), nodes.back().key, rng);
  }

  // anchors trusts this lab's root without asking what it is, as a pinned fingerprint does.
  TrustAnchors anchors() const {
    TrustAnchors out;
    EXPECT_THAT(out.add_pem("lab", x509::certificate_pem(nodes[0].certificate)), IsOk());
    return out;
  }

  Result<VerifiedDocument> verify_now(const Policy& policy = Policy::at_time(kNow)) {
    const Bytes input = document();
    return verify(input, anchors(), policy);
  }

  // sign signs any payload as the enclave would.
  Bytes sign(ByteView payload) { return cose::sign1(payload, nodes.back().key, rng); }

  Rng& rng;
  std::vector<Node> nodes;
  Statement statement{{}, {}, {{0, Bytes(48, 1)}, {1, Bytes(48, 2)}, {2, Bytes(48, 3)}, {4, Bytes(48, 4)}}, {}, {}, {}};

 private:
  static Rng& system_rng() {
    static crypto::SystemRng system;
    return system;
  }
};

}  // namespace casemate::attestation
