// SPDX-License-Identifier: Apache-2.0
#include "casemate/attestation.h"

#include "attestation/verify.h"

namespace casemate::attestation {

struct Verifier::State {
  TrustAnchors anchors;
  ChainCache cache;
};

Result<Verifier> Verifier::create(const Trust& trust) {
  auto state = std::make_shared<State>();
  for (const std::string& name : trust.builtin) TRY(state->anchors.add_builtin(name));
  for (const auto& [name, pem] : trust.pem) TRY(state->anchors.add_pem(name, pem));
  return Verifier(std::move(state));
}

Result<Verifier::Claims> Verifier::verify(ByteView document, const Expectation& expectation,
                                          std::chrono::sys_time<std::chrono::milliseconds> now) const {
  Policy policy = Policy::at_time(now);
  policy.max_age = expectation.max_age;
  policy.allow_debug = expectation.debug == Debug::kAllowed ? AllowDebug::kYes : AllowDebug::kNo;
  policy.nonce = expectation.nonce;
  policy.user_data = expectation.user_data;
  policy.public_key = expectation.public_key;
  for (const auto& [index, values] : expectation.pcrs) policy.pcrs.emplace(index, values);
  const VerifiedDocument verified = TRY(attestation::verify(document, state_->anchors, policy, &state_->cache));

  const Document& found = verified.document();
  Claims claims{found.module_id, found.timestamp, {}, found.public_key, found.user_data, found.nonce, verified.is_debug(), verified.anchor()};
  for (const Pcr& pcr : found.pcrs) claims.pcrs.emplace(pcr.index, pcr.value);
  return claims;
}

}  // namespace casemate::attestation
