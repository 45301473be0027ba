// SPDX-License-Identifier: Apache-2.0
#include "kms/api/operations.h"

#include <algorithm>

#include "base/encoding.h"

namespace casemate::kms::api {
namespace {

using std::string_view;

bool is_alias_text(string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '/' ||
           c == '_' || c == '-';
  });
}

bool is_word(string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Latin-1 above the controls, in UTF-8: U+0080 to U+00FF are two bytes that begin with C2 or C3.
bool is_latin(string_view text, string_view also) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      if (byte > 0xc3) return false;
      ++i;
    } else if (byte < 0x20 && also.find(text[i]) == string_view::npos) {
      return false;
    }
  }
  return true;
}
bool is_policy_text(string_view text) {
  return is_latin(text, "\t\n\r");
}
bool is_marker_text(string_view text) {
  return is_latin(text, "");
}
bool is_xks_key_id(string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

constexpr Pattern kAliasPattern{"^[a-zA-Z0-9:/_-]+$", is_alias_text};
constexpr Pattern kWordPattern{"[\\w]+", is_word};
constexpr Pattern kPolicyPattern{"[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_policy_text};
constexpr Pattern kMarkerPattern{"[\\u0020-\\u00FF]*", is_marker_text};
constexpr Pattern kXksPattern{"^[a-zA-Z0-9-_.]+$", is_xks_key_id};

constexpr string_view kUsages[] = {"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"};
constexpr string_view kOldSpecs[] = {"RSA_2048",
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
constexpr string_view kSpecs[] = {"RSA_2048",
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
                                  "ECC_NIST_EDWARDS25519"};
constexpr string_view kOrigins[] = {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"};
constexpr string_view kAlgorithms[] = {"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"};
constexpr string_view kDataKeySpecs[] = {"AES_256", "AES_128"};
constexpr string_view kRecipientAlgorithms[] = {"RSAES_OAEP_SHA_256"};
constexpr string_view kModifiers[] = {"IGNORE_CIPHERTEXT"};

constexpr auto kRequired = Presence::kRequired;
constexpr auto kOptional = Presence::kOptional;

constexpr Member text(string_view name, Presence presence, std::int64_t least, std::int64_t most,
                      const Pattern* pattern = nullptr) {
  return {.name = name, .presence = presence, .least = least, .most = most, .pattern = pattern};
}
constexpr Member choice(string_view name, std::span<const string_view> values) {
  return {.name = name, .values = values};
}
constexpr Member flag(string_view name) {
  return {.name = name, .type = Type::kBoolean};
}
constexpr Member number(string_view name, std::int64_t least, std::int64_t most) {
  return {.name = name, .type = Type::kInteger, .least = least, .most = most};
}
constexpr Member blob(string_view name, Presence presence, std::int64_t most,
                      Sensitivity sensitivity = Sensitivity::kPublic) {
  return {
      .name = name, .type = Type::kBlob, .presence = presence, .least = 1, .most = most, .sensitivity = sensitivity};
}
constexpr Member pairs(string_view name) {
  return {.name = name, .type = Type::kStringMap};
}

constexpr Member kTagMembers[] = {text("TagKey", kRequired, 1, 128), text("TagValue", kRequired, 0, 256)};
constexpr Member kRecipientMembers[] = {choice("KeyEncryptionAlgorithm", kRecipientAlgorithms),
                                        blob("AttestationDocument", kOptional, 262144)};
constexpr Member kGrantToken = text("GrantToken", kOptional, 1, 8192);
constexpr Member kModifier = choice("DryRunModifier", kModifiers);

constexpr Member kKeyId = text("KeyId", kRequired, 1, 2048);
constexpr Member kOptionalKeyId = text("KeyId", kOptional, 1, 2048);
constexpr Member kGrantTokens{.name = "GrantTokens",
                              .type = Type::kStringList,
                              .most = 10,
                              .item = &kGrantToken,
                              .sensitivity = Sensitivity::kSensitive};
constexpr Member kTags{.name = "Tags", .type = Type::kStructureList, .members = kTagMembers};
constexpr Member kRecipient{.name = "Recipient", .type = Type::kStructure, .members = kRecipientMembers};
constexpr Member kDryRunModifiers{.name = "DryRunModifiers", .type = Type::kStringList, .item = &kModifier};
constexpr Member kAliasName = text("AliasName", kRequired, 1, 256, &kAliasPattern);
constexpr Member kTargetKeyId = text("TargetKeyId", kRequired, 1, 2048);
constexpr Member kPolicyName = text("PolicyName", kOptional, 1, 128, &kWordPattern);
constexpr Member kLimit = number("Limit", 1, 1000);
constexpr Member kMarker = text("Marker", kOptional, 1, 1024, &kMarkerPattern);
constexpr Member kNumberOfBytes = number("NumberOfBytes", 1, 1024);
constexpr Member kStoreId = text("CustomKeyStoreId", kOptional, 1, 64);
constexpr Member kBypass = flag("BypassPolicyLockoutSafetyCheck");
constexpr Member kDryRun = flag("DryRun");
constexpr Member kContext = pairs("EncryptionContext");
constexpr Member kAlgorithm = choice("EncryptionAlgorithm", kAlgorithms);
constexpr Member kDataKeySpec = choice("KeySpec", kDataKeySpecs);

constexpr Member kJustKey[] = {kKeyId};
constexpr Member kCreateKey[] = {text("Policy", kOptional, 1, 131072, &kPolicyPattern),
                                 text("Description", kOptional, 0, 8192),
                                 choice("KeyUsage", kUsages),
                                 choice("CustomerMasterKeySpec", kOldSpecs),
                                 choice("KeySpec", kSpecs),
                                 choice("Origin", kOrigins),
                                 kStoreId,
                                 kBypass,
                                 kTags,
                                 flag("MultiRegion"),
                                 text("XksKeyId", kOptional, 1, 128, &kXksPattern)};
constexpr Member kDescribeKey[] = {kKeyId, kGrantTokens};
constexpr Member kListKeys[] = {kLimit, kMarker};
constexpr Member kAliasToKey[] = {kAliasName, kTargetKeyId};
constexpr Member kDeleteAlias[] = {kAliasName};
constexpr Member kListAliases[] = {kOptionalKeyId, kLimit, kMarker};
constexpr Member kGetKeyPolicy[] = {kKeyId, kPolicyName};
constexpr Member kPutKeyPolicy[] = {kKeyId, kPolicyName, text("Policy", kRequired, 1, 131072, &kPolicyPattern),
                                    kBypass};
constexpr Member kListOfKey[] = {kKeyId, kLimit, kMarker};
constexpr Member kEncrypt[] = {
    kKeyId, blob("Plaintext", kRequired, 4096, Sensitivity::kSensitive), kContext, kGrantTokens, kAlgorithm, kDryRun};
constexpr Member kDecrypt[] = {blob("CiphertextBlob", kOptional, 6144),
                               kContext,
                               kGrantTokens,
                               kOptionalKeyId,
                               kAlgorithm,
                               kRecipient,
                               kDryRun,
                               kDryRunModifiers};
constexpr Member kReEncrypt[] = {blob("CiphertextBlob", kOptional, 6144),
                                 pairs("SourceEncryptionContext"),
                                 text("SourceKeyId", kOptional, 1, 2048),
                                 text("DestinationKeyId", kRequired, 1, 2048),
                                 pairs("DestinationEncryptionContext"),
                                 choice("SourceEncryptionAlgorithm", kAlgorithms),
                                 choice("DestinationEncryptionAlgorithm", kAlgorithms),
                                 kGrantTokens,
                                 kDryRun,
                                 kDryRunModifiers};
constexpr Member kGenerateDataKey[] = {kKeyId,       kContext,   kNumberOfBytes, kDataKeySpec,
                                       kGrantTokens, kRecipient, kDryRun};
constexpr Member kGenerateDataKeyOnly[] = {kKeyId, kContext, kDataKeySpec, kNumberOfBytes, kGrantTokens, kDryRun};
constexpr Member kGenerateRandom[] = {kNumberOfBytes, kStoreId, kRecipient};
constexpr Member kScheduleKeyDeletion[] = {kKeyId, number("PendingWindowInDays", 1, 365)};

constexpr bool kReadOnly = true;

// All that KMS has, by name. A row without a handler answers UnsupportedOperationException.
constexpr Operation kOperations[] = {
    {"CancelKeyDeletion", kJustKey, cancel_key_deletion},
    {"ConnectCustomKeyStore", {}, nullptr},
    {"CreateAlias", kAliasToKey, create_alias},
    {"CreateCustomKeyStore", {}, nullptr},
    {"CreateGrant", {}, nullptr},
    {"CreateKey", kCreateKey, create_key},
    {"Decapsulate", {}, nullptr},
    {"Decrypt", kDecrypt, decrypt, kReadOnly},
    {"DeleteAlias", kDeleteAlias, delete_alias},
    {"DeleteCustomKeyStore", {}, nullptr},
    {"DeleteImportedKeyMaterial", {}, nullptr},
    {"DeriveSharedSecret", {}, nullptr},
    {"DescribeCustomKeyStores", {}, nullptr, kReadOnly},
    {"DescribeKey", kDescribeKey, describe_key, kReadOnly},
    {"DisableKey", kJustKey, disable_key},
    {"DisableKeyRotation", {}, nullptr},
    {"DisconnectCustomKeyStore", {}, nullptr},
    {"EnableKey", kJustKey, enable_key},
    {"EnableKeyRotation", {}, nullptr},
    {"Encapsulate", {}, nullptr},
    {"Encrypt", kEncrypt, encrypt, kReadOnly},
    {"GenerateDataKey", kGenerateDataKey, generate_data_key, kReadOnly},
    {"GenerateDataKeyPair", {}, nullptr, kReadOnly},
    {"GenerateDataKeyPairWithoutPlaintext", {}, nullptr, kReadOnly},
    {"GenerateDataKeyWithoutPlaintext", kGenerateDataKeyOnly, generate_data_key_without_plaintext, kReadOnly},
    {"GenerateMac", {}, nullptr, kReadOnly},
    {"GenerateRandom", kGenerateRandom, generate_random, kReadOnly},
    {"GetKeyLastUsage", {}, nullptr, kReadOnly},
    {"GetKeyPolicy", kGetKeyPolicy, get_key_policy, kReadOnly},
    {"GetKeyRotationStatus", {}, nullptr, kReadOnly},
    {"GetParametersForImport", {}, nullptr, kReadOnly},
    {"GetPublicKey", {}, nullptr, kReadOnly},
    {"ImportKeyMaterial", {}, nullptr},
    {"ListAliases", kListAliases, list_aliases, kReadOnly},
    {"ListGrants", {}, nullptr, kReadOnly},
    {"ListKeyPolicies", kListOfKey, list_key_policies, kReadOnly},
    {"ListKeyRotations", {}, nullptr, kReadOnly},
    {"ListKeys", kListKeys, list_keys, kReadOnly},
    {"ListResourceTags", {}, nullptr, kReadOnly},
    {"ListRetirableGrants", {}, nullptr, kReadOnly},
    {"PutKeyPolicy", kPutKeyPolicy, put_key_policy},
    {"ReEncrypt", kReEncrypt, re_encrypt, kReadOnly},
    {"ReplicateKey", {}, nullptr},
    {"RetireGrant", {}, nullptr},
    {"RevokeGrant", {}, nullptr},
    {"RotateKeyOnDemand", {}, nullptr},
    {"ScheduleKeyDeletion", kScheduleKeyDeletion, schedule_key_deletion},
    {"Sign", {}, nullptr, kReadOnly},
    {"TagResource", {}, nullptr},
    {"UntagResource", {}, nullptr},
    {"UpdateAlias", kAliasToKey, update_alias},
    {"UpdateCustomKeyStore", {}, nullptr},
    {"UpdateKeyDescription", {}, nullptr},
    {"UpdatePrimaryRegion", {}, nullptr},
    {"Verify", {}, nullptr, kReadOnly},
    {"VerifyMac", {}, nullptr, kReadOnly},
};

}  // namespace

std::span<const Operation> all_operations() {
  return kOperations;
}

const Operation* find_operation(string_view name) {
  const auto* it =
      std::lower_bound(std::begin(kOperations), std::end(kOperations), name,
                       [](const Operation& operation, string_view wanted) { return operation.name < wanted; });
  return it != std::end(kOperations) && it->name == name ? it : nullptr;
}

json::Value seconds(WallTime time) {
  return static_cast<double>(time.time_since_epoch().count()) / 1000.0;
}

Outcome<PageRequest> read_page(const Call& call, std::size_t default_limit, std::size_t most) {
  PageRequest page;
  const std::int64_t limit = call.input().integer("Limit").value_or(static_cast<std::int64_t>(default_limit));
  if (limit > static_cast<std::int64_t>(most)) {
    return fault(FaultKind::kValidation,
                 constraint_failure(fmt::format("Value '{}' at 'limit'", limit),
                                    fmt::format("Member must have value less than or equal to {}", most)));
  }
  page.limit = static_cast<std::size_t>(limit);
  if (const std::string* marker = call.input().text("Marker")) {
    const auto decoded = decode_base64(*marker);
    if (!decoded.ok() || decoded->empty()) {
      return fault(FaultKind::kInvalidMarker, fmt::format("Could not deserialize marker '{}'", *marker));
    }
    page.after = as_text(*decoded);
  }
  return page;
}

void end_page(json::Object& answer, bool more, string_view last) {
  answer.set("Truncated", more);
  if (more) answer.set("NextMarker", encode_base64(as_bytes(last)));
}

}  // namespace casemate::kms::api
