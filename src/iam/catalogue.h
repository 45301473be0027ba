// SPDX-License-Identifier: Apache-2.0
// The actions and condition keys of KMS and STS (service authorization reference), for those who speak about policies:
// lint, diff. Decisions do not need it.
#pragma once

#include <span>
#include <string_view>

namespace casemate::iam {

std::span<const std::string_view> kms_actions();  // `kms:Decrypt`
std::span<const std::string_view> sts_actions();

// is_kms_key is whether `kms:` has such a condition key; names compare without case. Keys with a part of the user's own
// (kms:EncryptionContext:NAME) and registers in range count.
bool is_kms_key(std::string_view key);

}  // namespace casemate::iam
