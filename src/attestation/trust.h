// SPDX-License-Identifier: Apache-2.0
// TrustAnchors: the roots that a verifier accepts, each under a name and known by the SHA-256 of its certificate.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/digest.h"

namespace casemate::attestation {

struct TrustAnchor {
  std::string name;
  crypto::Sha256 fingerprint;
};

class TrustAnchors {
 public:
  TrustAnchors() = default;  // trusts nothing
  // aws trusts the root of AWS's commercial partition.
  static TrustAnchors aws();

  // add_builtin adds `aws` or `aws-us-gov`. Errors: kNotFound.
  Result<void> add_builtin(std::string_view name);
  // add_pem adds one root certificate under a name of the caller's (`local`). The certificate must be self-signed
  // and have the profile of a Nitro root. Errors: kMalformed, kUntrusted.
  Result<void> add_pem(std::string_view name, std::string_view pem);

  const std::vector<TrustAnchor>& list() const { return anchors_; }
  const TrustAnchor* find(const crypto::Sha256& fingerprint) const;
  // names joins the names for messages: `aws, local`; `none` for nothing.
  std::string names() const;

 private:
  void add(std::string_view name, const crypto::Sha256& fingerprint);
  std::vector<TrustAnchor> anchors_;
};

}  // namespace casemate::attestation
