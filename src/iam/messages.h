// SPDX-License-Identifier: Apache-2.0
// The texts that AWS puts on the wire when it refuses.
#pragma once

#include <string>
#include <string_view>

#include "iam/evaluate.h"

namespace casemate::iam {

// access_denied_text is AccessDenied's message: `User: ARN is not authorized to perform: kms:Decrypt on resource: ARN
// because no resource-based policy allows the kms:Decrypt action`, or `... with an explicit deny in a ...`.
std::string access_denied_text(const Principal& caller, std::string_view action, std::string_view resource,
                               const Decision& decision);

inline constexpr std::string_view kLockOutText =
    "The new key policy will not allow you to update the key policy in the future.";
inline constexpr std::string_view kInvalidPrincipalText =
    "Policy contains a statement with one or more invalid principals.";
inline constexpr std::string_view kNoPrincipalText = "Policy contains a statement with no principal.";

}  // namespace casemate::iam
