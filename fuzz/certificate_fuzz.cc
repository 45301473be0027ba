// SPDX-License-Identifier: Apache-2.0
// A certificate that parses lies within the input; one that keeps the profile of a role has that role's properties, and
// none keeps both an authority's and a leaf's.
#include "attestation/profile.h"

using namespace casemate;
using attestation::Role;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const auto certificate = x509::parse_certificate(input);
  if (!certificate.ok()) return 0;
  const auto within = [&](ByteView part) { return part.empty() || (part.data() >= input.data() && part.data() + part.size() <= input.data() + input.size()); };
  CASEMATE_CHECK(within(certificate->tbs) && within(certificate->issuer) && within(certificate->subject) && within(certificate->public_key));
  CASEMATE_CHECK(certificate->der.size() == size);
  x509::name_text(certificate->subject);
  x509::common_name(certificate->issuer);
  CASEMATE_CHECK(x509::parse_name(certificate->subject).ok());
  const auto leaf = attestation::check_profile(*certificate, Role::kLeaf, 0);
  const auto authority = attestation::check_profile(*certificate, Role::kAuthority, 0);
  CASEMATE_CHECK(!(leaf.ok() && authority.ok()));
  if (authority.ok()) CASEMATE_CHECK(certificate->basic_constraints->ca && certificate->key_usage->critical);
  if (leaf.ok()) CASEMATE_CHECK(!certificate->basic_constraints->ca && !certificate->unknown_critical);
  if (leaf.ok()) x509::verify_signature(*certificate, *leaf).ok();
  return 0;
}
