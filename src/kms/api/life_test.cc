// SPDX-License-Identifier: Apache-2.0
// Grants, tags, rotation, imported material, several regions.
#include "crypto/key_wrap.h"
#include "kms/algorithms.h"
#include "kms/api/test_service.h"

namespace casemate::kms::api {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view kParentRole = "arn:aws:iam::111122223333:role/casemate-parent";

class LifeTest : public ServiceTest {
 protected:
  static std::string arn_of(const std::string& key, std::string_view region = kRegion) {
    return fmt::format("arn:aws:kms:{}:{}:key/{}", region, kAccount, key);
  }
  static json::Array operations(std::initializer_list<std::string_view> names) {
    return json::Array(names.begin(), names.end());
  }
  Reply grant(const std::string& key, json::Array names, json::Object more = {}, Who who = Who::kAdmin) {
    json::Object input{{"KeyId", key}, {"GranteePrincipal", kParentRole}, {"Operations", std::move(names)}};
    for (const auto& [name, value] : more) input.set(name, value);
    return call("CreateGrant", std::move(input), who);
  }
  std::string state(const std::string& key) {
    const Reply described = call("DescribeKey", {{"KeyId", key}});
    const json::Value* metadata = described.body.find("KeyMetadata");
    return metadata == nullptr ? described.text : *metadata->string_at("KeyState");
  }
  std::size_t items(const Reply& reply, std::string_view member) {
    const json::Value* value = reply.body.find(member);
    return value == nullptr ? 999 : value->array().size();
  }
};

TEST_F(LifeTest, GrantsGiveWhatTheyNameWithinTheirConstraints) {
  const std::string key = create_key();
  EXPECT_EQ(call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}}, Who::kParent).error(), "AccessDeniedException");
  const Reply made =
      grant(key, operations({"Encrypt", "Decrypt"}),
            {{"Constraints", json::Object{{"EncryptionContextSubset", json::Object{{"team", "blue"}}}}}});
  ASSERT_EQ(made.status, 200U) << made.text;
  EXPECT_THAT(made.at("GrantId"), SizeIs(64));
  EXPECT_EQ(call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}}, Who::kParent).error(), "AccessDeniedException");
  const json::Object context{{"team", "blue"}, {"n", "1"}};
  EXPECT_EQ(call("Encrypt",
                 {{"KeyId", key},
                  {"Plaintext", "AA=="},
                  {"EncryptionContext", context},
                  {"GrantTokens", json::Array{made.at("GrantToken")}}},
                 Who::kParent)
                .status,
            200U);
  EXPECT_EQ(call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}, {"GrantTokens", json::Array{"AAAA"}}}).error(),
            "InvalidGrantTokenException");
  EXPECT_EQ(
      call("GenerateDataKey", {{"KeyId", key}, {"KeySpec", "AES_256"}, {"EncryptionContext", context}}, Who::kParent)
          .error(),
      "AccessDeniedException");
  EXPECT_EQ(call("RevokeGrant", {{"KeyId", key}, {"GrantId", made.at("GrantId")}, {"DryRun", true}}).error(),
            "DryRunOperationException");
  EXPECT_EQ(call("RevokeGrant", {{"KeyId", key}, {"GrantId", made.at("GrantId")}}).text, "");
  EXPECT_EQ(
      call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}, {"EncryptionContext", context}}, Who::kParent).error(),
      "AccessDeniedException");
  EXPECT_EQ(call("RevokeGrant", {{"KeyId", key}, {"GrantId", made.at("GrantId")}}).error(), "NotFoundException");
  EXPECT_EQ(call("RevokeGrant", {{"KeyId", key}, {"GrantId", "x"}}).error(), "InvalidGrantIdException");
}

TEST_F(LifeTest, GrantsAreListedInPagesAndMadeOnceUnderOneName) {
  const std::string key = create_key();
  const std::string first = grant(key, operations({"Encrypt"}), {{"Name", "n"}}).at("GrantId");
  EXPECT_EQ(grant(key, operations({"Encrypt"}), {{"Name", "n"}}).at("GrantId"), first);
  for (int i = 0; i < 4; ++i) grant(key, operations({"Decrypt"}), {{"RetiringPrincipal", kParentRole}});
  const Reply page = call("ListGrants", {{"KeyId", key}, {"Limit", 3}});
  EXPECT_EQ(items(page, "Grants"), 3U);
  EXPECT_EQ(items(call("ListGrants", {{"KeyId", key}, {"Limit", 3}, {"Marker", page.at("NextMarker")}}), "Grants"), 2U);
  const Reply named = call("ListGrants", {{"KeyId", key}, {"GrantId", first}});
  ASSERT_EQ(items(named, "Grants"), 1U);
  EXPECT_THAT(named.text, HasSubstr("\"IssuingAccount\":\"arn:aws:iam::111122223333:root\""));
  EXPECT_THAT(named.text, HasSubstr("\"Name\":\"n\""));
  EXPECT_EQ(items(call("ListRetirableGrants", {{"RetiringPrincipal", kParentRole}}), "Grants"), 4U);
  EXPECT_EQ(call("ListRetirableGrants", {}).error(), "ValidationException");
  EXPECT_EQ(grant(key, operations({"Sign"})).error(), "ValidationException");
  EXPECT_EQ(
      call("CreateGrant", {{"KeyId", key}, {"GranteePrincipal", "nobody"}, {"Operations", operations({"Encrypt"})}})
          .error(),
      "InvalidArnException");
  EXPECT_EQ(
      call("CreateGrant", {{"KeyId", key}, {"GranteePrincipal", kParentRole}, {"Operations", operations({"Nope"})}})
          .error(),
      "ValidationException");
}

TEST_F(LifeTest, GrantsAreRetiredByWhomTheyNameOnly) {
  const std::string key = create_key();
  const Reply plain = grant(key, operations({"Encrypt"}));
  EXPECT_EQ(call("RetireGrant", {{"GrantToken", plain.at("GrantToken")}}, Who::kParent).error(),
            "AccessDeniedException");
  EXPECT_EQ(call("RetireGrant", {{"GrantToken", plain.at("GrantToken")}}).status, 200U);
  EXPECT_EQ(call("RetireGrant", {{"GrantToken", plain.at("GrantToken")}}).error(), "NotFoundException");
  const Reply own = grant(key, operations({"Encrypt", "RetireGrant"}));
  EXPECT_EQ(call("RetireGrant", {{"KeyId", arn_of(key)}, {"GrantId", own.at("GrantId")}}, Who::kParent).status, 200U);
  const Reply other = grant(key, operations({"Encrypt"}), {{"RetiringPrincipal", kParentRole}});
  EXPECT_EQ(call("RetireGrant", {{"GrantToken", other.at("GrantToken")}}, Who::kParent).status, 200U);
  EXPECT_EQ(call("RetireGrant", {{"GrantToken", "AAAA"}}).error(), "InvalidGrantTokenException");
  EXPECT_EQ(call("RetireGrant", {}).error(), "ValidationException");
}

TEST_F(LifeTest, AGranteeGivesAwayNoMoreThanItHas) {
  const std::string key = create_key();
  grant(key, operations({"CreateGrant", "Encrypt"}),
        {{"Constraints", json::Object{{"EncryptionContextSubset", json::Object{{"a", "b"}}}}}});
  const json::Object strict{
      {"Constraints", json::Object{{"EncryptionContextEquals", json::Object{{"a", "b"}, {"c", "d"}}}}}};
  EXPECT_EQ(grant(key, operations({"Encrypt"}), strict, Who::kParent).status, 200U);
  EXPECT_EQ(grant(key, operations({"Decrypt"}), strict, Who::kParent).error(), "AccessDeniedException");
  EXPECT_EQ(grant(key, operations({"Encrypt"}), {}, Who::kParent).error(), "AccessDeniedException");
}

TEST_F(LifeTest, TagsAreSetReplacedListedAndRemoved) {
  const std::string key = create_key({{"Tags", json::Array{json::Object{{"TagKey", "a"}, {"TagValue", "1"}}}}});
  const auto tag = [&](std::string_view name, std::string_view value) {
    return call("TagResource",
                {{"KeyId", key}, {"Tags", json::Array{json::Object{{"TagKey", name}, {"TagValue", value}}}}});
  };
  EXPECT_EQ(tag("a", "2").text, "");
  EXPECT_EQ(tag("b", "").text, "");
  EXPECT_EQ(tag("AWS:x", "").message(), "Tags beginning with aws: are reserved");
  EXPECT_EQ(call("ListResourceTags", {{"KeyId", key}}).text,
            R"({"Tags":[{"TagKey":"a","TagValue":"2"},{"TagKey":"b","TagValue":""}],"Truncated":false})");
  const Reply page = call("ListResourceTags", {{"KeyId", key}, {"Limit", 1}});
  EXPECT_EQ(items(call("ListResourceTags", {{"KeyId", key}, {"Marker", page.at("NextMarker")}}), "Tags"), 1U);
  EXPECT_EQ(call("UntagResource", {{"KeyId", key}, {"TagKeys", json::Array{"a", "none"}}}).text, "");
  EXPECT_THAT(call("ListResourceTags", {{"KeyId", key}}).text, Not(HasSubstr("\"a\"")));
  json::Array many;
  for (int i = 0; i < 50; ++i) many.emplace_back(json::Object{{"TagKey", fmt::format("t{}", i)}, {"TagValue", ""}});
  EXPECT_EQ(call("TagResource", {{"KeyId", key}, {"Tags", many}}).message(), "Too many tags");
  EXPECT_EQ(items(call("ListResourceTags", {{"KeyId", key}}), "Tags"), 1U);
}

TEST_F(LifeTest, RotatesWithOldMaterialStillUsable) {
  const std::string key = create_key();
  const std::string old_blob = encrypt(key, "x");
  EXPECT_EQ(call("EnableKeyRotation", {{"KeyId", key}, {"RotationPeriodInDays", 90}}).text, "");
  const Reply status = call("GetKeyRotationStatus", {{"KeyId", key}});
  EXPECT_THAT(status.text, HasSubstr("\"KeyRotationEnabled\":true,\"RotationPeriodInDays\":90,\"NextRotationDate\":"));
  clock_.advance(std::chrono::days{91});
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(1U));
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(0U));
  EXPECT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).at("KeyId"), arn_of(key));
  const Reply rotations = call("ListKeyRotations", {{"KeyId", key}});
  EXPECT_EQ(items(rotations, "Rotations"), 2U);
  EXPECT_THAT(rotations.text, HasSubstr("\"RotationType\":\"AUTOMATIC\""));
  EXPECT_THAT(rotations.text, HasSubstr("\"RotationType\":\"ON_DEMAND\""));
  EXPECT_EQ(items(call("ListKeyRotations", {{"KeyId", key}, {"IncludeKeyMaterial", "ALL_KEY_MATERIAL"}}), "Rotations"),
            3U);
  const Reply opened = call("Decrypt", {{"CiphertextBlob", old_blob}});
  EXPECT_EQ(opened.status, 200U) << opened.text;
  const Reply fresh = call("GenerateDataKey", {{"KeyId", key}, {"KeySpec", "AES_256"}});
  EXPECT_NE(fresh.at("KeyMaterialId"), opened.at("KeyMaterialId"));
  EXPECT_EQ(call("DisableKeyRotation", {{"KeyId", key}}).text, "");
  EXPECT_THAT(call("GetKeyRotationStatus", {{"KeyId", key}}).text, HasSubstr("\"KeyRotationEnabled\":false"));
  for (int i = 1; i < 25; ++i) EXPECT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).status, 200U);
  EXPECT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).error(), "LimitExceededException");
  const std::string mac = create_key({{"KeySpec", "HMAC_256"}, {"KeyUsage", "GENERATE_VERIFY_MAC"}});
  EXPECT_EQ(call("RotateKeyOnDemand", {{"KeyId", mac}}).text, R"({"__type":"UnsupportedOperationException"})");
}

// Importer wraps material as a client would.
class ImportTest : public LifeTest {
 protected:
  struct Parameters {
    std::string token;
    crypto::PublicKey key;
  };
  Parameters parameters(const std::string& key, std::string_view algorithm, std::string_view spec = "RSA_2048") {
    const Reply reply =
        call("GetParametersForImport", {{"KeyId", key}, {"WrappingAlgorithm", algorithm}, {"WrappingKeySpec", spec}});
    EXPECT_EQ(reply.status, 200U) << reply.text;
    const crypto::KeyKind kind = spec == "SM2" ? crypto::KeyKind::kSm2 : crypto::KeyKind::kRsa2048;
    return {reply.at("ImportToken"),
            crypto::PublicKey::parse_spki(kind, decode_base64(reply.at("PublicKey")).take()).take()};
  }
  Bytes wrap(const Parameters& parameters, std::string_view algorithm, const Secret& material) {
    using crypto::EncryptionScheme;
    const EncryptionScheme scheme = algorithm == "SM2PKE"             ? EncryptionScheme::kSm2
                                    : algorithm == "RSAES_PKCS1_V1_5" ? EncryptionScheme::kPkcs1
                                    : algorithm.ends_with("SHA_1")    ? EncryptionScheme::kOaepSha1
                                                                      : EncryptionScheme::kOaepSha256;
    if (!algorithm.starts_with("RSA_AES")) return parameters.key.encrypt(scheme, material.expose()).take();
    Secret kek = Secret::of_size(32);
    rng_.fill(kek.expose_mutable());
    Bytes out = parameters.key.encrypt(scheme, kek.expose()).take();
    append(out, crypto::wrap_key_padded(kek.expose(), material));
    return out;
  }
  Reply import(const std::string& key, std::string_view algorithm, const Secret& material, json::Object more = {},
               std::string_view spec = "RSA_2048") {
    const Parameters p = parameters(key, algorithm, spec);
    json::Object input{{"KeyId", key},
                       {"ImportToken", p.token},
                       {"EncryptedKeyMaterial", encode_base64(wrap(p, algorithm, material))}};
    if (more.find("ValidTo") == nullptr) input.set("ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE");
    for (const auto& [name, value] : more) input.set(name, value);
    return call("ImportKeyMaterial", std::move(input));
  }
  static Secret material(std::uint8_t fill) { return Secret::copy_of(Bytes(32, fill)); }
};

TEST_F(ImportTest, TakesMaterialUnderEveryWrappingAlgorithm) {
  for (const std::string_view algorithm : {"RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256",
                                           "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE"}) {
    SCOPED_TRACE(algorithm);
    const std::string key = create_key({{"Origin", "EXTERNAL"}});
    EXPECT_EQ(state(key), "PendingImport");
    EXPECT_EQ(call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}}).message(), arn_of(key) + " is pending import.");
    const Reply imported = import(key, algorithm, material(1), {}, algorithm == "SM2PKE" ? "SM2" : "RSA_2048");
    ASSERT_EQ(imported.status, 200U) << imported.text;
    EXPECT_EQ(state(key), "Enabled");
    EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", encrypt(key, "x")}}).at("KeyMaterialId"),
              imported.at("KeyMaterialId"));
  }
}

TEST_F(ImportTest, TakesKeyPairsAndMacKeys) {
  const std::pair<std::string_view, std::string_view> specs[] = {{"RSA_2048", "SIGN_VERIFY"},
                                                                 {"ECC_NIST_P384", "SIGN_VERIFY"},
                                                                 {"ECC_SECG_P256K1", "SIGN_VERIFY"},
                                                                 {"HMAC_512", "GENERATE_VERIFY_MAC"}};
  for (const auto& [spec, usage] : specs) {
    SCOPED_TRACE(spec);
    const std::string key = create_key({{"Origin", "EXTERNAL"}, {"KeySpec", spec}, {"KeyUsage", usage}});
    const Secret secret = make_secret(*parse_key_spec(spec), rng_).take();
    EXPECT_EQ(import(key, "RSA_AES_KEY_WRAP_SHA_256", material(1)).error() == "IncorrectKeyMaterialException", true);
    ASSERT_EQ(import(key, "RSA_AES_KEY_WRAP_SHA_256", secret).status, 200U);
    EXPECT_EQ(state(key), "Enabled");
    EXPECT_EQ(import(key, "RSA_AES_KEY_WRAP_SHA_256", make_secret(*parse_key_spec(spec), rng_).take()).error(),
              "IncorrectKeyMaterialException");
  }
}

TEST_F(ImportTest, ForgetsExpiredAndDeletedMaterialAndTakesTheSameAgain) {
  const std::string key = create_key({{"Origin", "EXTERNAL"}});
  const std::int64_t soon = clock_.now().time_since_epoch().count() / 1000 + 60;
  ASSERT_EQ(import(key, "RSAES_OAEP_SHA_256", material(1), {{"ValidTo", soon}}).status, 200U);
  EXPECT_THAT(call("DescribeKey", {{"KeyId", key}}).text, HasSubstr("\"ExpirationModel\":\"KEY_MATERIAL_EXPIRES\""));
  const std::string blob = encrypt(key, "x");
  clock_.advance(std::chrono::seconds{61});
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}}).message(), arn_of(key) + " is pending import.");
  EXPECT_EQ(import(key, "RSAES_OAEP_SHA_256", material(2)).error(), "IncorrectKeyMaterialException");
  ASSERT_EQ(import(key, "RSAES_OAEP_SHA_256", material(1)).status, 200U);
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}}).status, 200U);
  const Reply deleted = call("DeleteImportedKeyMaterial", {{"KeyId", key}});
  EXPECT_THAT(deleted.at("KeyMaterialId"), SizeIs(64));
  EXPECT_EQ(state(key), "PendingImport");
  EXPECT_EQ(call("DeleteImportedKeyMaterial", {{"KeyId", key}}).status, 200U);
  EXPECT_EQ(call("DeleteImportedKeyMaterial", {{"KeyId", create_key()}}).error(), "UnsupportedOperationException");
  EXPECT_EQ(import(key, "RSAES_OAEP_SHA_256", material(1), {{"ValidTo", soon}}).error(), "ValidationException");
}

TEST_F(ImportTest, RotatesImportedKeysToNewMaterial) {
  const std::string key = create_key({{"Origin", "EXTERNAL"}});
  ASSERT_EQ(import(key, "RSAES_OAEP_SHA_256", material(1)).status, 200U);
  const std::string blob = encrypt(key, "x");
  EXPECT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).message(),
            "No available key material pending rotation for the key: " + arn_of(key) + ".");
  ASSERT_EQ(import(key, "RSAES_OAEP_SHA_256", material(2), {{"ImportType", "NEW_KEY_MATERIAL"}}).status, 200U);
  EXPECT_THAT(import(key, "RSAES_OAEP_SHA_256", material(3), {{"ImportType", "NEW_KEY_MATERIAL"}}).message(),
              HasSubstr("is pending rotation."));
  EXPECT_THAT(call("ListKeyRotations", {{"KeyId", key}, {"IncludeKeyMaterial", "ALL_KEY_MATERIAL"}}).text,
              HasSubstr("PENDING_ROTATION"));
  ASSERT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).status, 200U);
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}}).status, 200U);
  EXPECT_EQ(call("EnableKeyRotation", {{"KeyId", key}}).message(),
            arn_of(key) + " origin is EXTERNAL which is not valid for this operation.");
}

TEST_F(ImportTest, RefusesTokensOfOtherKeysAndTimes) {
  const std::string key = create_key({{"Origin", "EXTERNAL"}});
  const std::string other = create_key({{"Origin", "EXTERNAL"}});
  const Parameters p = parameters(key, "RSAES_OAEP_SHA_256");
  json::Object input{{"KeyId", other},
                     {"ImportToken", p.token},
                     {"EncryptedKeyMaterial", encode_base64(wrap(p, "RSAES_OAEP_SHA_256", material(1)))},
                     {"ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE"}};
  EXPECT_EQ(call("ImportKeyMaterial", input).error(), "InvalidImportTokenException");
  input.set("KeyId", key);
  input.set("ImportToken", "AAAA");
  EXPECT_EQ(call("ImportKeyMaterial", input).error(), "InvalidImportTokenException");
  input.set("ImportToken", p.token);
  input.set("EncryptedKeyMaterial", "AAAA");
  EXPECT_EQ(call("ImportKeyMaterial", input).error(), "InvalidCiphertextException");
  clock_.advance(std::chrono::hours{25});
  EXPECT_EQ(call("ImportKeyMaterial", input).error(), "ExpiredImportTokenException");
  EXPECT_EQ(call("GetParametersForImport",
                 {{"KeyId", create_key()}, {"WrappingAlgorithm", "SM2PKE"}, {"WrappingKeySpec", "SM2"}})
                .error(),
            "UnsupportedOperationException");
  EXPECT_EQ(
      call("GetParametersForImport", {{"KeyId", key}, {"WrappingAlgorithm", "SM2PKE"}, {"WrappingKeySpec", "RSA_2048"}})
          .error(),
      "ValidationException");
}

TEST_F(LifeTest, OneKeyInSeveralRegionsSharesItsMaterial) {
  const std::string key = create_key({{"MultiRegion", true}});
  EXPECT_TRUE(key.starts_with("mrk-"));
  const std::string blob = encrypt(key, "x");
  const Reply replicated = call("ReplicateKey", {{"KeyId", key}, {"ReplicaRegion", "eu-west-1"}, {"Description", "r"}});
  ASSERT_EQ(replicated.status, 200U) << replicated.text;
  EXPECT_THAT(replicated.text, HasSubstr("\"KeyState\":\"Creating\""));
  EXPECT_EQ(call("ReplicateKey", {{"KeyId", key}, {"ReplicaRegion", "eu-west-1"}}).error(), "AlreadyExistsException");
  EXPECT_EQ(call("ReplicateKey", {{"KeyId", key}, {"ReplicaRegion", "ap-south-1"}}).error(),
            "UnsupportedOperationException");
  EXPECT_THAT(call("DescribeKey", {{"KeyId", key}}).text, HasSubstr(arn_of(key, "eu-west-1")));

  const auto in_europe = [&](std::string_view operation, json::Object input) {
    return call(operation, std::move(input), Who::kAdmin, "eu-west-1");
  };
  EXPECT_EQ(in_europe("Decrypt", {{"CiphertextBlob", blob}}).at("KeyId"), arn_of(key, "eu-west-1"));
  EXPECT_EQ(in_europe("ReplicateKey", {{"KeyId", key}, {"ReplicaRegion", "us-east-1"}}).message(),
            arn_of(key, "eu-west-1") + " is not a multi-region primary key.");
  ASSERT_EQ(call("RotateKeyOnDemand", {{"KeyId", key}}).status, 200U);
  EXPECT_EQ(in_europe("Decrypt", {{"CiphertextBlob", encrypt(key, "y")}}).status, 200U);
  EXPECT_EQ(in_europe("RotateKeyOnDemand", {{"KeyId", key}}).error(), "UnsupportedOperationException");

  EXPECT_EQ(call("UpdatePrimaryRegion", {{"KeyId", key}, {"PrimaryRegion", "eu-west-1"}}).text, "");
  EXPECT_EQ(call("UpdatePrimaryRegion", {{"KeyId", key}, {"PrimaryRegion", "eu-west-1"}}).error(),
            "UnsupportedOperationException");
  EXPECT_EQ(in_europe("ScheduleKeyDeletion", {{"KeyId", key}, {"PendingWindowInDays", 7}}).at("KeyState"),
            "PendingReplicaDeletion");
  EXPECT_EQ(call("ScheduleKeyDeletion", {{"KeyId", key}, {"PendingWindowInDays", 7}}).at("KeyState"),
            "PendingDeletion");
  clock_.advance(std::chrono::days{8});
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(1U));
  EXPECT_EQ(call("DescribeKey", {{"KeyId", key}}).error(), "NotFoundException");
  EXPECT_THAT(in_europe("DescribeKey", {{"KeyId", key}}).text, HasSubstr("\"KeyState\":\"PendingDeletion\""));
  clock_.advance(std::chrono::days{8});
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(1U));
  EXPECT_EQ(in_europe("DescribeKey", {{"KeyId", key}}).error(), "NotFoundException");
}

TEST_F(LifeTest, RemembersTheLastUse) {
  const std::string key = create_key();
  EXPECT_THAT(call("GetKeyLastUsage", {{"KeyId", key}}).text, HasSubstr("\"KeyLastUsage\":{}"));
  encrypt(key, "x");
  for (int i = 0; i < 2; ++i) {
    const Reply used = call("GetKeyLastUsage", {{"KeyId", key}});
    EXPECT_THAT(used.text, HasSubstr("\"Operation\":\"Encrypt\""));
    EXPECT_THAT(audit_text(), HasSubstr(*used.body.find("KeyLastUsage")->string_at("CloudTrailEventId")));
    EXPECT_THAT(keyring_.flush_uses(), IsOk());
  }
  EXPECT_EQ(call("UpdateKeyDescription", {{"KeyId", key}, {"Description", "new"}}).text, "");
  EXPECT_THAT(call("DescribeKey", {{"KeyId", key}}).text, HasSubstr("\"Description\":\"new\""));
}

TEST_F(LifeTest, RefusesByNameWhatItHasNoMachineryFor) {
  for (const auto& [operation, input] :
       {std::pair<std::string_view, json::Object>{"CreateCustomKeyStore", {{"CustomKeyStoreName", "n"}}},
        {"DescribeCustomKeyStores", {}},
        {"UpdateCustomKeyStore", {{"CustomKeyStoreId", "i"}}},
        {"DeleteCustomKeyStore", {{"CustomKeyStoreId", "i"}}},
        {"ConnectCustomKeyStore", {{"CustomKeyStoreId", "i"}}},
        {"DisconnectCustomKeyStore", {{"CustomKeyStoreId", "i"}}}}) {
    const Reply refused = call(operation, input);
    EXPECT_EQ(refused.error(), "UnsupportedOperationException") << operation;
    EXPECT_THAT(refused.message(), HasSubstr("Custom key stores"));
    EXPECT_EQ(call(operation, input, Who::kParent).error(), "AccessDeniedException");
  }
  const std::string key = create_key();
  EXPECT_THAT(call("Encapsulate", {{"KeyId", key}, {"EncapsulationAlgorithm", "ML_KEM"}}).message(),
              HasSubstr("ML-KEM"));
  EXPECT_EQ(call("Decapsulate",
                 {{"KeyId", key}, {"EncapsulationAlgorithm", "ML_KEM"}, {"SharedSecretCiphertextBlob", "AAAA"}})
                .error(),
            "UnsupportedOperationException");
}

}  // namespace
}  // namespace casemate::kms::api
