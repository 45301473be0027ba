// SPDX-License-Identifier: Apache-2.0
#include "kms/api/operations.h"

#include <algorithm>

#include "kms/api/requests.h"

namespace casemate::kms::api {
namespace {

using namespace shapes;

constexpr bool kReadOnly = true;

// All that KMS has, by name. A row without a handler answers UnsupportedOperationException.
constexpr Operation kOperations[] = {
    {"CancelKeyDeletion", kCancelKeyDeletion, cancel_key_deletion},
    {"ConnectCustomKeyStore", kConnectCustomKeyStore, nullptr},
    {"CreateAlias", kCreateAlias, create_alias},
    {"CreateCustomKeyStore", kCreateCustomKeyStore, nullptr},
    {"CreateGrant", kCreateGrant, nullptr},
    {"CreateKey", kCreateKey, create_key},
    {"Decapsulate", kDecapsulate, nullptr, kReadOnly},
    {"Decrypt", kDecrypt, decrypt, kReadOnly},
    {"DeleteAlias", kDeleteAlias, delete_alias},
    {"DeleteCustomKeyStore", kDeleteCustomKeyStore, nullptr},
    {"DeleteImportedKeyMaterial", kDeleteImportedKeyMaterial, nullptr},
    {"DeriveSharedSecret", kDeriveSharedSecret, derive_shared_secret, kReadOnly},
    {"DescribeCustomKeyStores", kDescribeCustomKeyStores, nullptr, kReadOnly},
    {"DescribeKey", kDescribeKey, describe_key, kReadOnly},
    {"DisableKey", kDisableKey, disable_key},
    {"DisableKeyRotation", kDisableKeyRotation, nullptr},
    {"DisconnectCustomKeyStore", kDisconnectCustomKeyStore, nullptr},
    {"EnableKey", kEnableKey, enable_key},
    {"EnableKeyRotation", kEnableKeyRotation, nullptr},
    {"Encapsulate", kEncapsulate, nullptr, kReadOnly},
    {"Encrypt", kEncrypt, encrypt, kReadOnly},
    {"GenerateDataKey", kGenerateDataKey, generate_data_key, kReadOnly},
    {"GenerateDataKeyPair", kGenerateDataKeyPair, generate_data_key_pair, kReadOnly},
    {"GenerateDataKeyPairWithoutPlaintext", kGenerateDataKeyPairWithoutPlaintext, generate_data_key_pair_without_plaintext, kReadOnly},
    {"GenerateDataKeyWithoutPlaintext", kGenerateDataKeyWithoutPlaintext, generate_data_key_without_plaintext, kReadOnly},
    {"GenerateMac", kGenerateMac, generate_mac, kReadOnly},
    {"GenerateRandom", kGenerateRandom, generate_random, kReadOnly},
    {"GetKeyLastUsage", kGetKeyLastUsage, nullptr, kReadOnly},
    {"GetKeyPolicy", kGetKeyPolicy, get_key_policy, kReadOnly},
    {"GetKeyRotationStatus", kGetKeyRotationStatus, nullptr, kReadOnly},
    {"GetParametersForImport", kGetParametersForImport, nullptr, kReadOnly},
    {"GetPublicKey", kGetPublicKey, get_public_key, kReadOnly},
    {"ImportKeyMaterial", kImportKeyMaterial, nullptr},
    {"ListAliases", kListAliases, list_aliases, kReadOnly},
    {"ListGrants", kListGrants, nullptr, kReadOnly},
    {"ListKeyPolicies", kListKeyPolicies, list_key_policies, kReadOnly},
    {"ListKeyRotations", kListKeyRotations, nullptr, kReadOnly},
    {"ListKeys", kListKeys, list_keys, kReadOnly},
    {"ListResourceTags", kListResourceTags, nullptr, kReadOnly},
    {"ListRetirableGrants", kListRetirableGrants, nullptr, kReadOnly},
    {"PutKeyPolicy", kPutKeyPolicy, put_key_policy},
    {"ReEncrypt", kReEncrypt, re_encrypt, kReadOnly},
    {"ReplicateKey", kReplicateKey, nullptr},
    {"RetireGrant", kRetireGrant, nullptr},
    {"RevokeGrant", kRevokeGrant, nullptr},
    {"RotateKeyOnDemand", kRotateKeyOnDemand, nullptr},
    {"ScheduleKeyDeletion", kScheduleKeyDeletion, schedule_key_deletion},
    {"Sign", kSign, sign, kReadOnly},
    {"TagResource", kTagResource, nullptr},
    {"UntagResource", kUntagResource, nullptr},
    {"UpdateAlias", kUpdateAlias, update_alias},
    {"UpdateCustomKeyStore", kUpdateCustomKeyStore, nullptr},
    {"UpdateKeyDescription", kUpdateKeyDescription, nullptr},
    {"UpdatePrimaryRegion", kUpdatePrimaryRegion, nullptr},
    {"Verify", kVerify, verify, kReadOnly},
    {"VerifyMac", kVerifyMac, verify_mac, kReadOnly},
};

}  // namespace

std::span<const Operation> all_operations() {
  return kOperations;
}

const Operation* find_operation(std::string_view name) {
  const auto* it =
      std::lower_bound(std::begin(kOperations), std::end(kOperations), name,
                       [](const Operation& operation, std::string_view wanted) { return operation.name < wanted; });
  return it != std::end(kOperations) && it->name == name ? it : nullptr;
}

}  // namespace casemate::kms::api
