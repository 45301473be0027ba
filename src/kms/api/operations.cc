// SPDX-License-Identifier: Apache-2.0
#include "kms/api/operations.h"

#include <algorithm>

#include "kms/api/requests.h"

namespace casemate::kms::api {
namespace {

using namespace shapes;

constexpr bool kReadOnly = true;
constexpr bool kQuick = true;

// All that KMS has, by name.
constexpr Operation kOperations[] = {
    {"CancelKeyDeletion", kCancelKeyDeletion, cancel_key_deletion},
    {"ConnectCustomKeyStore", kConnectCustomKeyStore, refuse_custom_key_store},
    {"CreateAlias", kCreateAlias, create_alias},
    {"CreateCustomKeyStore", kCreateCustomKeyStore, refuse_custom_key_store},
    {"CreateGrant", kCreateGrant, create_grant},
    {"CreateKey", kCreateKey, create_key},
    {"Decapsulate", kDecapsulate, refuse_encapsulation, kReadOnly},
    {"Decrypt", kDecrypt, decrypt, kReadOnly, kQuick},
    {"DeleteAlias", kDeleteAlias, delete_alias},
    {"DeleteCustomKeyStore", kDeleteCustomKeyStore, refuse_custom_key_store},
    {"DeleteImportedKeyMaterial", kDeleteImportedKeyMaterial, delete_imported_key_material},
    {"DeriveSharedSecret", kDeriveSharedSecret, derive_shared_secret, kReadOnly},
    {"DescribeCustomKeyStores", kDescribeCustomKeyStores, refuse_custom_key_store, kReadOnly},
    {"DescribeKey", kDescribeKey, describe_key, kReadOnly, kQuick},
    {"DisableKey", kDisableKey, disable_key},
    {"DisableKeyRotation", kDisableKeyRotation, disable_key_rotation},
    {"DisconnectCustomKeyStore", kDisconnectCustomKeyStore, refuse_custom_key_store},
    {"EnableKey", kEnableKey, enable_key},
    {"EnableKeyRotation", kEnableKeyRotation, enable_key_rotation},
    {"Encapsulate", kEncapsulate, refuse_encapsulation, kReadOnly},
    {"Encrypt", kEncrypt, encrypt, kReadOnly, kQuick},
    {"GenerateDataKey", kGenerateDataKey, generate_data_key, kReadOnly, kQuick},
    {"GenerateDataKeyPair", kGenerateDataKeyPair, generate_data_key_pair, kReadOnly},
    {"GenerateDataKeyPairWithoutPlaintext", kGenerateDataKeyPairWithoutPlaintext,
     generate_data_key_pair_without_plaintext, kReadOnly},
    {"GenerateDataKeyWithoutPlaintext", kGenerateDataKeyWithoutPlaintext, generate_data_key_without_plaintext,
     kReadOnly, kQuick},
    {"GenerateMac", kGenerateMac, generate_mac, kReadOnly, kQuick},
    {"GenerateRandom", kGenerateRandom, generate_random, kReadOnly, kQuick},
    {"GetKeyLastUsage", kGetKeyLastUsage, get_key_last_usage, kReadOnly},
    {"GetKeyPolicy", kGetKeyPolicy, get_key_policy, kReadOnly, kQuick},
    {"GetKeyRotationStatus", kGetKeyRotationStatus, get_key_rotation_status, kReadOnly, kQuick},
    {"GetParametersForImport", kGetParametersForImport, get_parameters_for_import, kReadOnly},
    {"GetPublicKey", kGetPublicKey, get_public_key, kReadOnly, kQuick},
    {"ImportKeyMaterial", kImportKeyMaterial, import_key_material},
    {"ListAliases", kListAliases, list_aliases, kReadOnly},
    {"ListGrants", kListGrants, list_grants, kReadOnly},
    {"ListKeyPolicies", kListKeyPolicies, list_key_policies, kReadOnly, kQuick},
    {"ListKeyRotations", kListKeyRotations, list_key_rotations, kReadOnly},
    {"ListKeys", kListKeys, list_keys, kReadOnly},
    {"ListResourceTags", kListResourceTags, list_resource_tags, kReadOnly, kQuick},
    {"ListRetirableGrants", kListRetirableGrants, list_retirable_grants, kReadOnly},
    {"PutKeyPolicy", kPutKeyPolicy, put_key_policy},
    {"ReEncrypt", kReEncrypt, re_encrypt, kReadOnly, kQuick},
    {"ReplicateKey", kReplicateKey, replicate_key},
    {"RetireGrant", kRetireGrant, retire_grant},
    {"RevokeGrant", kRevokeGrant, revoke_grant},
    {"RotateKeyOnDemand", kRotateKeyOnDemand, rotate_key_on_demand},
    {"ScheduleKeyDeletion", kScheduleKeyDeletion, schedule_key_deletion},
    {"Sign", kSign, sign, kReadOnly},
    {"TagResource", kTagResource, tag_resource},
    {"UntagResource", kUntagResource, untag_resource},
    {"UpdateAlias", kUpdateAlias, update_alias},
    {"UpdateCustomKeyStore", kUpdateCustomKeyStore, refuse_custom_key_store},
    {"UpdateKeyDescription", kUpdateKeyDescription, update_key_description},
    {"UpdatePrimaryRegion", kUpdatePrimaryRegion, update_primary_region},
    {"Verify", kVerify, verify, kReadOnly},
    {"VerifyMac", kVerifyMac, verify_mac, kReadOnly, kQuick},
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
