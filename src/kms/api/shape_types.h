// SPDX-License-Identifier: Apache-2.0
// Types that requests are made of: lengths, ranges, patterns and enumerations as the service's model has them
// (kms-2014-11-01). A member of a request is one of these under a name.
#pragma once

#include "kms/api/patterns.h"
#include "kms/api/shape.h"

namespace casemate::kms::api::shapes {

constexpr Member named(std::string_view name, Member type, Presence presence) {
  type.name = name;
  type.presence = presence;
  return type;
}
constexpr Member required(std::string_view name, const Member& type) {
  return named(name, type, Presence::kRequired);
}
constexpr Member optional(std::string_view name, const Member& type) {
  return named(name, type, Presence::kOptional);
}

inline constexpr Pattern kAliasPattern{"^[a-zA-Z0-9:/_-]+$", is_alias};
inline constexpr Pattern kHexPattern{"^[a-f0-9]+$", is_hex};
inline constexpr Pattern kAccountPattern{"[0-9]{12}", is_account};
inline constexpr Pattern kClusterPattern{"cluster-[2-7a-zA-Z]{11,16}", is_cluster};
inline constexpr Pattern kArnPattern{"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$", is_arn};
inline constexpr Pattern kTextPattern{"^[a-zA-Z0-9:/_\\s.-]+$", is_text};
inline constexpr Pattern kMarkerPattern{"[\\u0020-\\u00FF]*", is_marker};
inline constexpr Pattern kWordPattern{"[\\w]+", is_word};
inline constexpr Pattern kPolicyPattern{"[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_policy};
inline constexpr Pattern kPrincipalPattern{"^[\\w+=,.@:/-]+$", is_principal};
inline constexpr Pattern kRegionPattern{"^([a-z]+-){2,3}\\d+$", is_region};
inline constexpr Pattern kServicePattern{"^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$", is_service};
inline constexpr Pattern kXksKeyPattern{"^[a-zA-Z0-9-_.]+$", is_xks_key};
inline constexpr Pattern kBase32Pattern{"^[A-Z2-7]+$", is_base32};
inline constexpr Pattern kBase64Pattern{"^[a-zA-Z0-9\\/+=]+$", is_base64};
inline constexpr Pattern kXksEndpointPattern{"^https://[a-zA-Z0-9.-]+$", is_xks_endpoint};
inline constexpr Pattern kXksPathPattern{"^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$",
                                         is_xks_path};
inline constexpr Pattern kVpcePattern{"^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$",
                                      is_vpce};

inline constexpr std::string_view kCustomKeyStoreTypeValues[] = {"AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"};
inline constexpr std::string_view kXksProxyConnectivityTypeValues[] = {"PUBLIC_ENDPOINT", "VPC_ENDPOINT_SERVICE"};
inline constexpr std::string_view kGrantOperationValues[] = {"Decrypt",
                                                             "Encrypt",
                                                             "GenerateDataKey",
                                                             "GenerateDataKeyWithoutPlaintext",
                                                             "ReEncryptFrom",
                                                             "ReEncryptTo",
                                                             "Sign",
                                                             "Verify",
                                                             "GetPublicKey",
                                                             "CreateGrant",
                                                             "RetireGrant",
                                                             "DescribeKey",
                                                             "GenerateDataKeyPair",
                                                             "GenerateDataKeyPairWithoutPlaintext",
                                                             "GenerateMac",
                                                             "VerifyMac",
                                                             "DeriveSharedSecret",
                                                             "Encapsulate",
                                                             "Decapsulate"};
inline constexpr std::string_view kKeyUsageTypeValues[] = {"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC",
                                                           "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"};
inline constexpr std::string_view kCustomerMasterKeySpecValues[] = {"RSA_2048",
                                                                    "RSA_3072",
                                                                    "RSA_4096",
                                                                    "ECC_NIST_P256",
                                                                    "ECC_NIST_P384",
                                                                    "ECC_NIST_P521",
                                                                    "ECC_SECG_P256K1",
                                                                    "SYMMETRIC_DEFAULT",
                                                                    "HMAC_224",
                                                                    "HMAC_256",
                                                                    "HMAC_384",
                                                                    "HMAC_512",
                                                                    "SM2"};
inline constexpr std::string_view kKeySpecValues[] = {"RSA_2048",
                                                      "RSA_3072",
                                                      "RSA_4096",
                                                      "ECC_NIST_P256",
                                                      "ECC_NIST_P384",
                                                      "ECC_NIST_P521",
                                                      "ECC_SECG_P256K1",
                                                      "SYMMETRIC_DEFAULT",
                                                      "HMAC_224",
                                                      "HMAC_256",
                                                      "HMAC_384",
                                                      "HMAC_512",
                                                      "SM2",
                                                      "ML_DSA_44",
                                                      "ML_DSA_65",
                                                      "ML_DSA_87",
                                                      "ECC_NIST_EDWARDS25519",
                                                      "ML_KEM_512",
                                                      "ML_KEM_768",
                                                      "ML_KEM_1024"};
inline constexpr std::string_view kOriginTypeValues[] = {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"};
inline constexpr std::string_view kEncapsulationAlgorithmSpecValues[] = {"ML_KEM"};
inline constexpr std::string_view kEncryptionAlgorithmSpecValues[] = {"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1",
                                                                      "RSAES_OAEP_SHA_256", "SM2PKE"};
inline constexpr std::string_view kKeyEncryptionMechanismValues[] = {"RSAES_OAEP_SHA_256"};
inline constexpr std::string_view kDryRunModifierTypeValues[] = {"IGNORE_CIPHERTEXT"};
inline constexpr std::string_view kKeyAgreementAlgorithmSpecValues[] = {"ECDH"};
inline constexpr std::string_view kDataKeySpecValues[] = {"AES_256", "AES_128"};
inline constexpr std::string_view kDataKeyPairSpecValues[] = {
    "RSA_2048",      "RSA_3072",        "RSA_4096", "ECC_NIST_P256",         "ECC_NIST_P384",
    "ECC_NIST_P521", "ECC_SECG_P256K1", "SM2",      "ECC_NIST_EDWARDS25519", "ML_KEM_512",
    "ML_KEM_768",    "ML_KEM_1024"};
inline constexpr std::string_view kMacAlgorithmSpecValues[] = {"HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384",
                                                               "HMAC_SHA_512"};
inline constexpr std::string_view kAlgorithmSpecValues[] = {"RSAES_PKCS1_V1_5",         "RSAES_OAEP_SHA_1",
                                                            "RSAES_OAEP_SHA_256",       "RSA_AES_KEY_WRAP_SHA_1",
                                                            "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE"};
inline constexpr std::string_view kWrappingKeySpecValues[] = {"RSA_2048", "RSA_3072", "RSA_4096", "SM2"};
inline constexpr std::string_view kExpirationModelTypeValues[] = {"KEY_MATERIAL_EXPIRES",
                                                                  "KEY_MATERIAL_DOES_NOT_EXPIRE"};
inline constexpr std::string_view kImportTypeValues[] = {"NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"};
inline constexpr std::string_view kIncludeKeyMaterialValues[] = {"ALL_KEY_MATERIAL", "ROTATIONS_ONLY"};
inline constexpr std::string_view kMessageTypeValues[] = {"RAW", "DIGEST", "EXTERNAL_MU"};
inline constexpr std::string_view kSigningAlgorithmSpecValues[] = {"RSASSA_PSS_SHA_256",
                                                                   "RSASSA_PSS_SHA_384",
                                                                   "RSASSA_PSS_SHA_512",
                                                                   "RSASSA_PKCS1_V1_5_SHA_256",
                                                                   "RSASSA_PKCS1_V1_5_SHA_384",
                                                                   "RSASSA_PKCS1_V1_5_SHA_512",
                                                                   "ECDSA_SHA_256",
                                                                   "ECDSA_SHA_384",
                                                                   "ECDSA_SHA_512",
                                                                   "SM2DSA",
                                                                   "ML_DSA_SHAKE_256",
                                                                   "ED25519_SHA_512",
                                                                   "ED25519_PH_SHA_512"};
inline constexpr Member kKeyIdType{.least = 1, .most = 2048};
inline constexpr Member kCustomKeyStoreIdType{.least = 1, .most = 64};
inline constexpr Member kAliasNameType{.least = 1, .most = 256, .pattern = &kAliasPattern};
inline constexpr Member kCustomKeyStoreNameType{.least = 1, .most = 256};
inline constexpr Member kCloudHsmClusterIdType{.least = 19, .most = 24, .pattern = &kClusterPattern};
inline constexpr Member kTrustAnchorCertificateType{.least = 1, .most = 5000};
inline constexpr Member kKeyStorePasswordType{.least = 7, .most = 32, .sensitivity = Sensitivity::kSensitive};
inline constexpr Member kCustomKeyStoreType{.values = kCustomKeyStoreTypeValues};
inline constexpr Member kXksProxyUriEndpointType{.least = 10, .most = 128, .pattern = &kXksEndpointPattern};
inline constexpr Member kXksProxyUriPathType{.least = 10, .most = 128, .pattern = &kXksPathPattern};
inline constexpr Member kXksProxyVpcEndpointServiceNameType{.least = 20, .most = 64, .pattern = &kVpcePattern};
inline constexpr Member kAccountIdType{.least = 12, .most = 12, .pattern = &kAccountPattern};
inline constexpr Member kXksProxyAuthenticationAccessKeyIdType{
    .least = 20, .most = 30, .pattern = &kBase32Pattern, .sensitivity = Sensitivity::kSensitive};
inline constexpr Member kXksProxyAuthenticationRawSecretAccessKeyType{
    .least = 43, .most = 64, .pattern = &kBase64Pattern, .sensitivity = Sensitivity::kSensitive};
inline constexpr Member kXksProxyAuthenticationCredentialTypeMembers[] = {
    required("AccessKeyId", kXksProxyAuthenticationAccessKeyIdType),
    required("RawSecretAccessKey", kXksProxyAuthenticationRawSecretAccessKeyType)};
inline constexpr Member kXksProxyAuthenticationCredentialType{.type = Type::kStructure,
                                                              .members = kXksProxyAuthenticationCredentialTypeMembers};
inline constexpr Member kXksProxyConnectivityType{.values = kXksProxyConnectivityTypeValues};
inline constexpr Member kPrincipalIdType{.least = 1, .most = 256, .pattern = &kPrincipalPattern};
inline constexpr Member kGrantOperation{.values = kGrantOperationValues};
inline constexpr Member kGrantOperationList{.type = Type::kStringList, .item = &kGrantOperation};
inline constexpr Member kEncryptionContextType{.type = Type::kStringMap};
inline constexpr Member kGrantConstraintSourceArnType{.least = 20, .most = 512, .pattern = &kArnPattern};
inline constexpr Member kGrantConstraintsMembers[] = {optional("EncryptionContextSubset", kEncryptionContextType),
                                                      optional("EncryptionContextEquals", kEncryptionContextType),
                                                      optional("SourceArn", kGrantConstraintSourceArnType)};
inline constexpr Member kGrantConstraints{.type = Type::kStructure, .members = kGrantConstraintsMembers};
inline constexpr Member kGrantTokenType{.least = 1, .most = 8192, .sensitivity = Sensitivity::kSensitive};
inline constexpr Member kGrantTokenList{.type = Type::kStringList, .most = 10, .item = &kGrantTokenType};
inline constexpr Member kGrantNameType{.least = 1, .most = 256, .pattern = &kAliasPattern};
inline constexpr Member kNullableBooleanType{.type = Type::kBoolean};
inline constexpr Member kServicePrincipalType{.least = 1, .most = 128, .pattern = &kServicePattern};
inline constexpr Member kPolicyType{.least = 1, .most = 131072, .pattern = &kPolicyPattern};
inline constexpr Member kDescriptionType{.most = 8192};
inline constexpr Member kKeyUsageType{.values = kKeyUsageTypeValues};
inline constexpr Member kCustomerMasterKeySpec{.values = kCustomerMasterKeySpecValues};
inline constexpr Member kKeySpec{.values = kKeySpecValues};
inline constexpr Member kOriginType{.values = kOriginTypeValues};
inline constexpr Member kBooleanType{.type = Type::kBoolean};
inline constexpr Member kTagKeyType{.least = 1, .most = 128};
inline constexpr Member kTagValueType{.most = 256};
inline constexpr Member kTagMembers[] = {required("TagKey", kTagKeyType), required("TagValue", kTagValueType)};
inline constexpr Member kTagList{.type = Type::kStructureList, .members = kTagMembers};
inline constexpr Member kXksKeyIdType{.least = 1, .most = 128, .pattern = &kXksKeyPattern};
inline constexpr Member kEncapsulationAlgorithmSpec{.values = kEncapsulationAlgorithmSpecValues};
inline constexpr Member kCiphertextType{.type = Type::kBlob, .least = 1, .most = 6144};
inline constexpr Member kEncryptionAlgorithmSpec{.values = kEncryptionAlgorithmSpecValues};
inline constexpr Member kKeyEncryptionMechanism{.values = kKeyEncryptionMechanismValues};
inline constexpr Member kAttestationDocumentType{.type = Type::kBlob, .least = 1, .most = 262144};
inline constexpr Member kRecipientInfoMembers[] = {optional("KeyEncryptionAlgorithm", kKeyEncryptionMechanism),
                                                   optional("AttestationDocument", kAttestationDocumentType)};
inline constexpr Member kRecipientInfo{.type = Type::kStructure, .members = kRecipientInfoMembers};
inline constexpr Member kDryRunModifierType{.values = kDryRunModifierTypeValues};
inline constexpr Member kDryRunModifierList{.type = Type::kStringList, .item = &kDryRunModifierType};
inline constexpr Member kBackingKeyIdType{.least = 64, .most = 64, .pattern = &kHexPattern};
inline constexpr Member kKeyAgreementAlgorithmSpec{.values = kKeyAgreementAlgorithmSpecValues};
inline constexpr Member kPublicKeyType{.type = Type::kBlob, .least = 1, .most = 8192};
inline constexpr Member kLimitType{.type = Type::kInteger, .least = 1, .most = 1000};
inline constexpr Member kMarkerType{.least = 1, .most = 1024, .pattern = &kMarkerPattern};
inline constexpr Member kRotationPeriodInDaysType{.type = Type::kInteger, .least = 90, .most = 2560};
inline constexpr Member kPlaintextType{
    .type = Type::kBlob, .least = 1, .most = 4096, .sensitivity = Sensitivity::kSensitive};
inline constexpr Member kNumberOfBytesType{.type = Type::kInteger, .least = 1, .most = 1024};
inline constexpr Member kDataKeySpec{.values = kDataKeySpecValues};
inline constexpr Member kDataKeyPairSpec{.values = kDataKeyPairSpecValues};
inline constexpr Member kMacAlgorithmSpec{.values = kMacAlgorithmSpecValues};
inline constexpr Member kPolicyNameType{.least = 1, .most = 128, .pattern = &kWordPattern};
inline constexpr Member kAlgorithmSpec{.values = kAlgorithmSpecValues};
inline constexpr Member kWrappingKeySpec{.values = kWrappingKeySpecValues};
inline constexpr Member kDateType{.type = Type::kTimestamp};
inline constexpr Member kExpirationModelType{.values = kExpirationModelTypeValues};
inline constexpr Member kImportType{.values = kImportTypeValues};
inline constexpr Member kKeyMaterialDescriptionType{.most = 256, .pattern = &kTextPattern};
inline constexpr Member kGrantIdType{.least = 1, .most = 128};
inline constexpr Member kIncludeKeyMaterial{.values = kIncludeKeyMaterialValues};
inline constexpr Member kRegionType{.least = 1, .most = 32, .pattern = &kRegionPattern};
inline constexpr Member kPendingWindowInDaysType{.type = Type::kInteger, .least = 1, .most = 365};
inline constexpr Member kMessageType{.values = kMessageTypeValues};
inline constexpr Member kSigningAlgorithmSpec{.values = kSigningAlgorithmSpecValues};
inline constexpr Member kTagKeyList{.type = Type::kStringList, .item = &kTagKeyType};

}  // namespace casemate::kms::api::shapes
