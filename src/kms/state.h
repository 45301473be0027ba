// SPDX-License-Identifier: Apache-2.0
// Which operation a key's state permits (KMS developer guide, key states).
#pragma once

#include <string_view>

#include "kms/fault.h"
#include "kms/key.h"

namespace casemate::kms {

// StateRule is a row of the table: operations that states treat alike.
enum class StateRule {
  kAlways,         // DescribeKey, Get/PutKeyPolicy, List*, DeleteAlias, RetireGrant, RevokeGrant
  kUse,            // encryption, decryption and data keys
  kUseAsymmetric,  // Sign, Verify, GetPublicKey, MACs, key agreement
  kCreateGrant,
  kCancelDeletion,
  kScheduleDeletion,
  kEnable,  // EnableKey, DisableKey
  kCreateAlias,
  kTargetOfAlias,  // the new key of UpdateAlias
  kAlter,          // TagResource, UntagResource, UpdateKeyDescription
  kReplicate,      // ReplicateKey, UpdatePrimaryRegion
  kRotate,         // EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand
  kImport,         // GetParametersForImport, ImportKeyMaterial
};

// check_state gives the fault, with KMS's text, for a rule that the state does not permit.
Outcome<void> check_state(StateRule rule, KeyState state, std::string_view key_arn);

}  // namespace casemate::kms
