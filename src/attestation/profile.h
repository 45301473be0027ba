// SPDX-License-Identifier: Apache-2.0
// Certificate profile of the Nitro attestation hierarchy: what each certificate of a chain must be by itself, beyond
// what RFC 5280 asks. Links between certificates and time are the verifier's.
#pragma once

#include "x509/certificate.h"

namespace casemate::attestation {

enum class Role { kRoot, kAuthority, kLeaf };

std::string_view to_string(Role role);

// check_profile: P-384 and ecdsa-with-SHA384; no unknown critical extension; authorities have critical basicConstraints
// with CA and a path length of at least `authorities_below` (the root may leave it out) and critical keyUsage with
// keyCertSign; leaves have basicConstraints without CA and path length and keyUsage with digitalSignature and without
// keyCertSign. Returns the subject's key. Errors: kUntrusted.
Result<crypto::EcPublicKey> check_profile(const x509::Certificate& certificate, Role role, std::size_t authorities_below);

}  // namespace casemate::attestation
