// SPDX-License-Identifier: Apache-2.0
// Policy simulation: one hypothetical request against hypothetical policies, as JSON in and JSON out.
#pragma once

#include "base/result.h"
#include "json/value.h"

namespace casemate::iam {

// simulate takes
//   {"request": {"principal": ARN, "action": "kms:Decrypt", "resource": ARN or {"resource": ARN, "accountId": ID},
//                "context": {key: value or [values]}},
//    "resourcePolicy": document, "identityPolicies": [document or {"name", "policy"}], "permissionBoundary": document,
//    "sessionPolicy": document, "grants": [{"granteePrincipal", "operations", "constraints"}],
//    "refusal": {"cause", "detail"}}
// of which only `request` is required, and gives {"decision", "trace"}. The caller's own keys (aws:PrincipalArn and the
// like) are set unless the context has them; an attestation register is `kms:RecipientAttestation:PCR0`. A resource that
// is a KMS key, or has a resource policy, is decided with it; anything else by identity policies.
// `refusal` is one that no policy makes, such as DocumentStale or KeyState.
// Errors: kMalformed, kLimit, naming the member.
Result<json::Value> simulate(const json::Value& input);

}  // namespace casemate::iam
