// SPDX-License-Identifier: Apache-2.0
// Requests of all operations: the members of each.
#pragma once

#include "kms/api/shape_types.h"

namespace casemate::kms::api::shapes {

inline constexpr Member kCancelKeyDeletion[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kConnectCustomKeyStore[] = {required("CustomKeyStoreId", kCustomKeyStoreIdType)};
inline constexpr Member kCreateAlias[] = {required("AliasName", kAliasNameType), required("TargetKeyId", kKeyIdType)};
inline constexpr Member kCreateCustomKeyStore[] = {
    required("CustomKeyStoreName", kCustomKeyStoreNameType),
    optional("CloudHsmClusterId", kCloudHsmClusterIdType),
    optional("TrustAnchorCertificate", kTrustAnchorCertificateType),
    optional("KeyStorePassword", kKeyStorePasswordType),
    optional("CustomKeyStoreType", kCustomKeyStoreType),
    optional("XksProxyUriEndpoint", kXksProxyUriEndpointType),
    optional("XksProxyUriPath", kXksProxyUriPathType),
    optional("XksProxyVpcEndpointServiceName", kXksProxyVpcEndpointServiceNameType),
    optional("XksProxyVpcEndpointServiceOwner", kAccountIdType),
    optional("XksProxyAuthenticationCredential", kXksProxyAuthenticationCredentialType),
    optional("XksProxyConnectivity", kXksProxyConnectivityType)};
inline constexpr Member kCreateGrant[] = {required("KeyId", kKeyIdType),
                                          optional("GranteePrincipal", kPrincipalIdType),
                                          optional("RetiringPrincipal", kPrincipalIdType),
                                          required("Operations", kGrantOperationList),
                                          optional("Constraints", kGrantConstraints),
                                          optional("GrantTokens", kGrantTokenList),
                                          optional("Name", kGrantNameType),
                                          optional("DryRun", kNullableBooleanType),
                                          optional("GranteeServicePrincipal", kServicePrincipalType),
                                          optional("RetiringServicePrincipal", kServicePrincipalType)};
inline constexpr Member kCreateKey[] = {optional("Policy", kPolicyType),
                                        optional("Description", kDescriptionType),
                                        optional("KeyUsage", kKeyUsageType),
                                        optional("CustomerMasterKeySpec", kCustomerMasterKeySpec),
                                        optional("KeySpec", kKeySpec),
                                        optional("Origin", kOriginType),
                                        optional("CustomKeyStoreId", kCustomKeyStoreIdType),
                                        optional("BypassPolicyLockoutSafetyCheck", kBooleanType),
                                        optional("Tags", kTagList),
                                        optional("MultiRegion", kNullableBooleanType),
                                        optional("XksKeyId", kXksKeyIdType)};
inline constexpr Member kDecapsulate[] = {
    required("KeyId", kKeyIdType), required("EncapsulationAlgorithm", kEncapsulationAlgorithmSpec),
    optional("GrantTokens", kGrantTokenList), optional("DryRun", kNullableBooleanType),
    required("SharedSecretCiphertextBlob", kCiphertextType)};
inline constexpr Member kDecrypt[] = {optional("CiphertextBlob", kCiphertextType),
                                      optional("EncryptionContext", kEncryptionContextType),
                                      optional("GrantTokens", kGrantTokenList),
                                      optional("KeyId", kKeyIdType),
                                      optional("EncryptionAlgorithm", kEncryptionAlgorithmSpec),
                                      optional("Recipient", kRecipientInfo),
                                      optional("DryRun", kNullableBooleanType),
                                      optional("DryRunModifiers", kDryRunModifierList)};
inline constexpr Member kDeleteAlias[] = {required("AliasName", kAliasNameType)};
inline constexpr Member kDeleteCustomKeyStore[] = {required("CustomKeyStoreId", kCustomKeyStoreIdType)};
inline constexpr Member kDeleteImportedKeyMaterial[] = {required("KeyId", kKeyIdType),
                                                        optional("KeyMaterialId", kBackingKeyIdType)};
inline constexpr Member kDeriveSharedSecret[] = {required("KeyId", kKeyIdType),
                                                 required("KeyAgreementAlgorithm", kKeyAgreementAlgorithmSpec),
                                                 required("PublicKey", kPublicKeyType),
                                                 optional("GrantTokens", kGrantTokenList),
                                                 optional("DryRun", kNullableBooleanType),
                                                 optional("Recipient", kRecipientInfo)};
inline constexpr Member kDescribeCustomKeyStores[] = {optional("CustomKeyStoreId", kCustomKeyStoreIdType),
                                                      optional("CustomKeyStoreName", kCustomKeyStoreNameType),
                                                      optional("Limit", kLimitType), optional("Marker", kMarkerType)};
inline constexpr Member kDescribeKey[] = {required("KeyId", kKeyIdType), optional("GrantTokens", kGrantTokenList)};
inline constexpr Member kDisableKey[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kDisableKeyRotation[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kDisconnectCustomKeyStore[] = {required("CustomKeyStoreId", kCustomKeyStoreIdType)};
inline constexpr Member kEnableKey[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kEnableKeyRotation[] = {required("KeyId", kKeyIdType),
                                                optional("RotationPeriodInDays", kRotationPeriodInDaysType)};
inline constexpr Member kEncapsulate[] = {
    required("KeyId", kKeyIdType), required("EncapsulationAlgorithm", kEncapsulationAlgorithmSpec),
    optional("GrantTokens", kGrantTokenList), optional("DryRun", kNullableBooleanType)};
inline constexpr Member kEncrypt[] = {required("KeyId", kKeyIdType),
                                      required("Plaintext", kPlaintextType),
                                      optional("EncryptionContext", kEncryptionContextType),
                                      optional("GrantTokens", kGrantTokenList),
                                      optional("EncryptionAlgorithm", kEncryptionAlgorithmSpec),
                                      optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateDataKey[] = {required("KeyId", kKeyIdType),
                                              optional("EncryptionContext", kEncryptionContextType),
                                              optional("NumberOfBytes", kNumberOfBytesType),
                                              optional("KeySpec", kDataKeySpec),
                                              optional("GrantTokens", kGrantTokenList),
                                              optional("Recipient", kRecipientInfo),
                                              optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateDataKeyPair[] = {optional("EncryptionContext", kEncryptionContextType),
                                                  required("KeyId", kKeyIdType),
                                                  required("KeyPairSpec", kDataKeyPairSpec),
                                                  optional("GrantTokens", kGrantTokenList),
                                                  optional("Recipient", kRecipientInfo),
                                                  optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateDataKeyPairWithoutPlaintext[] = {
    optional("EncryptionContext", kEncryptionContextType), required("KeyId", kKeyIdType),
    required("KeyPairSpec", kDataKeyPairSpec), optional("GrantTokens", kGrantTokenList),
    optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateDataKeyWithoutPlaintext[] = {required("KeyId", kKeyIdType),
                                                              optional("EncryptionContext", kEncryptionContextType),
                                                              optional("KeySpec", kDataKeySpec),
                                                              optional("NumberOfBytes", kNumberOfBytesType),
                                                              optional("GrantTokens", kGrantTokenList),
                                                              optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateMac[] = {
    required("Message", kPlaintextType), required("KeyId", kKeyIdType), required("MacAlgorithm", kMacAlgorithmSpec),
    optional("GrantTokens", kGrantTokenList), optional("DryRun", kNullableBooleanType)};
inline constexpr Member kGenerateRandom[] = {optional("NumberOfBytes", kNumberOfBytesType),
                                             optional("CustomKeyStoreId", kCustomKeyStoreIdType),
                                             optional("Recipient", kRecipientInfo)};
inline constexpr Member kGetKeyLastUsage[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kGetKeyPolicy[] = {required("KeyId", kKeyIdType), optional("PolicyName", kPolicyNameType)};
inline constexpr Member kGetKeyRotationStatus[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kGetParametersForImport[] = {required("KeyId", kKeyIdType),
                                                     required("WrappingAlgorithm", kAlgorithmSpec),
                                                     required("WrappingKeySpec", kWrappingKeySpec)};
inline constexpr Member kGetPublicKey[] = {required("KeyId", kKeyIdType), optional("GrantTokens", kGrantTokenList)};
inline constexpr Member kImportKeyMaterial[] = {required("KeyId", kKeyIdType),
                                                required("ImportToken", kCiphertextType),
                                                required("EncryptedKeyMaterial", kCiphertextType),
                                                optional("ValidTo", kDateType),
                                                optional("ExpirationModel", kExpirationModelType),
                                                optional("ImportType", kImportType),
                                                optional("KeyMaterialDescription", kKeyMaterialDescriptionType),
                                                optional("KeyMaterialId", kBackingKeyIdType)};
inline constexpr Member kListAliases[] = {optional("KeyId", kKeyIdType), optional("Limit", kLimitType),
                                          optional("Marker", kMarkerType)};
inline constexpr Member kListGrants[] = {optional("Limit", kLimitType),
                                         optional("Marker", kMarkerType),
                                         required("KeyId", kKeyIdType),
                                         optional("GrantId", kGrantIdType),
                                         optional("GranteePrincipal", kPrincipalIdType),
                                         optional("GranteeServicePrincipal", kServicePrincipalType)};
inline constexpr Member kListKeyPolicies[] = {required("KeyId", kKeyIdType), optional("Limit", kLimitType),
                                              optional("Marker", kMarkerType)};
inline constexpr Member kListKeyRotations[] = {required("KeyId", kKeyIdType),
                                               optional("IncludeKeyMaterial", kIncludeKeyMaterial),
                                               optional("Limit", kLimitType), optional("Marker", kMarkerType)};
inline constexpr Member kListKeys[] = {optional("Limit", kLimitType), optional("Marker", kMarkerType)};
inline constexpr Member kListResourceTags[] = {required("KeyId", kKeyIdType), optional("Limit", kLimitType),
                                               optional("Marker", kMarkerType)};
inline constexpr Member kListRetirableGrants[] = {optional("Limit", kLimitType), optional("Marker", kMarkerType),
                                                  optional("RetiringPrincipal", kPrincipalIdType),
                                                  optional("RetiringServicePrincipal", kServicePrincipalType)};
inline constexpr Member kPutKeyPolicy[] = {required("KeyId", kKeyIdType), optional("PolicyName", kPolicyNameType),
                                           required("Policy", kPolicyType),
                                           optional("BypassPolicyLockoutSafetyCheck", kBooleanType)};
inline constexpr Member kReEncrypt[] = {optional("CiphertextBlob", kCiphertextType),
                                        optional("SourceEncryptionContext", kEncryptionContextType),
                                        optional("SourceKeyId", kKeyIdType),
                                        required("DestinationKeyId", kKeyIdType),
                                        optional("DestinationEncryptionContext", kEncryptionContextType),
                                        optional("SourceEncryptionAlgorithm", kEncryptionAlgorithmSpec),
                                        optional("DestinationEncryptionAlgorithm", kEncryptionAlgorithmSpec),
                                        optional("GrantTokens", kGrantTokenList),
                                        optional("DryRun", kNullableBooleanType),
                                        optional("DryRunModifiers", kDryRunModifierList)};
inline constexpr Member kReplicateKey[] = {required("KeyId", kKeyIdType),
                                           required("ReplicaRegion", kRegionType),
                                           optional("Policy", kPolicyType),
                                           optional("BypassPolicyLockoutSafetyCheck", kBooleanType),
                                           optional("Description", kDescriptionType),
                                           optional("Tags", kTagList)};
inline constexpr Member kRetireGrant[] = {optional("GrantToken", kGrantTokenType), optional("KeyId", kKeyIdType),
                                          optional("GrantId", kGrantIdType), optional("DryRun", kNullableBooleanType)};
inline constexpr Member kRevokeGrant[] = {required("KeyId", kKeyIdType), required("GrantId", kGrantIdType),
                                          optional("DryRun", kNullableBooleanType)};
inline constexpr Member kRotateKeyOnDemand[] = {required("KeyId", kKeyIdType)};
inline constexpr Member kScheduleKeyDeletion[] = {required("KeyId", kKeyIdType),
                                                  optional("PendingWindowInDays", kPendingWindowInDaysType)};
inline constexpr Member kSign[] = {required("KeyId", kKeyIdType),
                                   required("Message", kPlaintextType),
                                   optional("MessageType", kMessageType),
                                   optional("GrantTokens", kGrantTokenList),
                                   required("SigningAlgorithm", kSigningAlgorithmSpec),
                                   optional("DryRun", kNullableBooleanType)};
inline constexpr Member kTagResource[] = {required("KeyId", kKeyIdType), required("Tags", kTagList)};
inline constexpr Member kUntagResource[] = {required("KeyId", kKeyIdType), required("TagKeys", kTagKeyList)};
inline constexpr Member kUpdateAlias[] = {required("AliasName", kAliasNameType), required("TargetKeyId", kKeyIdType)};
inline constexpr Member kUpdateCustomKeyStore[] = {
    required("CustomKeyStoreId", kCustomKeyStoreIdType),
    optional("NewCustomKeyStoreName", kCustomKeyStoreNameType),
    optional("KeyStorePassword", kKeyStorePasswordType),
    optional("CloudHsmClusterId", kCloudHsmClusterIdType),
    optional("XksProxyUriEndpoint", kXksProxyUriEndpointType),
    optional("XksProxyUriPath", kXksProxyUriPathType),
    optional("XksProxyVpcEndpointServiceName", kXksProxyVpcEndpointServiceNameType),
    optional("XksProxyVpcEndpointServiceOwner", kAccountIdType),
    optional("XksProxyAuthenticationCredential", kXksProxyAuthenticationCredentialType),
    optional("XksProxyConnectivity", kXksProxyConnectivityType)};
inline constexpr Member kUpdateKeyDescription[] = {required("KeyId", kKeyIdType),
                                                   required("Description", kDescriptionType)};
inline constexpr Member kUpdatePrimaryRegion[] = {required("KeyId", kKeyIdType),
                                                  required("PrimaryRegion", kRegionType)};
inline constexpr Member kVerify[] = {required("KeyId", kKeyIdType),
                                     required("Message", kPlaintextType),
                                     optional("MessageType", kMessageType),
                                     required("Signature", kCiphertextType),
                                     required("SigningAlgorithm", kSigningAlgorithmSpec),
                                     optional("GrantTokens", kGrantTokenList),
                                     optional("DryRun", kNullableBooleanType)};
inline constexpr Member kVerifyMac[] = {
    required("Message", kPlaintextType),         required("KeyId", kKeyIdType),
    required("MacAlgorithm", kMacAlgorithmSpec), required("Mac", kCiphertextType),
    optional("GrantTokens", kGrantTokenList),    optional("DryRun", kNullableBooleanType)};

}  // namespace casemate::kms::api::shapes
