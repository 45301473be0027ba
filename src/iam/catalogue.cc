// SPDX-License-Identifier: Apache-2.0
#include "iam/catalogue.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "iam/context.h"

namespace casemate::iam {
namespace {

constexpr auto kKmsActions = std::to_array<std::string_view>({
    "kms:CancelKeyDeletion", "kms:ConnectCustomKeyStore", "kms:CreateAlias", "kms:CreateCustomKeyStore",
    "kms:CreateGrant", "kms:CreateKey", "kms:Decapsulate", "kms:Decrypt", "kms:DeleteAlias",
    "kms:DeleteCustomKeyStore", "kms:DeleteImportedKeyMaterial", "kms:DeriveSharedSecret",
    "kms:DescribeCustomKeyStores", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation",
    "kms:DisconnectCustomKeyStore", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encapsulate", "kms:Encrypt",
    "kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateMac", "kms:GenerateRandom", "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus", "kms:GetParametersForImport", "kms:GetPublicKey", "kms:ImportKeyMaterial",
    "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListKeys",
    "kms:ListResourceTags", "kms:ListRetirableGrants", "kms:PutKeyPolicy", "kms:ReEncryptFrom", "kms:ReEncryptTo",
    "kms:ReplicateKey", "kms:RetireGrant", "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion",
    "kms:Sign", "kms:SynchronizeMultiRegionKey", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias",
    "kms:UpdateCustomKeyStore", "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion", "kms:Verify", "kms:VerifyMac",
});

constexpr auto kStsActions = std::to_array<std::string_view>({
    "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoot",
    "sts:DecodeAuthorizationMessage", "sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetFederationToken",
    "sts:GetServiceBearerToken", "sts:GetSessionToken", "sts:SetContext", "sts:SetSourceIdentity", "sts:TagSession",
});

// Lower case, without the prefix.
constexpr auto kKmsKeys = std::to_array<std::string_view>({
    "bypasspolicylockoutsafetycheck", "calleraccount", "customermasterkeyspec", "customermasterkeyusage",
    "datakeypairspec", "encryptionalgorithm", "encryptioncontextkeys", "expirationmodel", "grantconstraintsourcearn",
    "grantconstrainttype", "grantisforawsresource", "grantoperations", "granteeprincipal", "granteeserviceprincipal",
    "keyagreementalgorithm", "keyorigin", "keyspec", "keyusage", "macalgorithm", "messagetype", "multiregion",
    "multiregionkeytype", "primaryregion", "reencryptonsamekey", "replicaregion", "requestalias", "resourcealiases",
    "retiringprincipal", "retiringserviceprincipal", "rotationperiodindays", "schedulekeydeletionpendingwindowindays",
    "signingalgorithm", "trailingdayswithoutkeyusage", "validto", "viaservice", "wrappingalgorithm", "wrappingkeyspec",
});

bool is_register(std::string_view name) {
  if (name == "imagesha384") return true;
  unsigned most = 31;
  if (name.starts_with("nitrotpm")) {
    name.remove_prefix(8);
    most = 23;
  }
  if (!name.starts_with("pcr") || name.size() < 4 || name.size() > 5 || (name[3] == '0' && name.size() > 4)) return false;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(name.data() + 3, name.data() + name.size(), number);
  return error == std::errc{} && end == name.data() + name.size() && number <= most;
}

}  // namespace

std::span<const std::string_view> kms_actions() {
  return kKmsActions;
}
std::span<const std::string_view> sts_actions() {
  return kStsActions;
}

bool is_kms_key(std::string_view key) {
  const std::string folded = fold(key);
  std::string_view name = folded;
  if (!name.starts_with("kms:")) return false;
  name.remove_prefix(4);
  constexpr std::string_view kContext = "encryptioncontext:";
  constexpr std::string_view kAttestation = "recipientattestation:";
  if (name.starts_with(kContext)) return name.size() > kContext.size();
  if (name.starts_with(kAttestation)) return is_register(name.substr(kAttestation.size()));
  return std::find(kKmsKeys.begin(), kKmsKeys.end(), name) != kKmsKeys.end();
}

}  // namespace casemate::iam
