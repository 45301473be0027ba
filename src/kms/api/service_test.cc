// SPDX-License-Identifier: Apache-2.0
#include "audit/files.h"
#include "base/test_limits.h"
#include "kms/api/operations.h"
#include "kms/api/test_service.h"

namespace casemate::kms::api {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(ServiceTest, TableIsSortedSoThatEveryOperationIsFound) {
  EXPECT_EQ(all_operations().size(), 56U);
  for (const Operation& operation : all_operations()) EXPECT_EQ(find_operation(operation.name), &operation);
  EXPECT_EQ(find_operation("Nope"), nullptr);
}

TEST_F(ServiceTest, CreatesAndDescribesAKeyAsTheServiceDoes) {
  const Reply created = call("CreateKey", {{"Description", "d"}});
  ASSERT_EQ(created.status, 200U) << created.text;
  const json::Value& metadata = *created.body.find("KeyMetadata");
  const std::string id = *metadata.string_at("KeyId");
  EXPECT_EQ(*metadata.string_at("Arn"), "arn:aws:kms:us-east-1:111122223333:key/" + id);
  EXPECT_EQ(*metadata.string_at("KeyState"), "Enabled");
  EXPECT_EQ(metadata.string_at("CurrentKeyMaterialId")->size(), 64U);
  EXPECT_THAT(created.text, HasSubstr("\"EncryptionAlgorithms\":[\"SYMMETRIC_DEFAULT\"]"));
  EXPECT_EQ(call("CreateAlias", {{"AliasName", "alias/a"}, {"TargetKeyId", id}}).text, "");
  for (const std::string& name : {id, std::string("alias/a"), *metadata.string_at("Arn"),
                                  std::string("arn:aws:kms:us-east-1:111122223333:alias/a")}) {
    const Reply described = call("DescribeKey", {{"KeyId", name}});
    EXPECT_EQ(described.text, created.text);
  }
  const Reply stored = call("GetKeyPolicy", {{"KeyId", id}});
  EXPECT_THAT(stored.at("Policy"),
              AllOf(HasSubstr("Enable IAM User Permissions"), HasSubstr("arn:aws:iam::111122223333:root")));
  EXPECT_EQ(stored.at("PolicyName"), "default");
  EXPECT_EQ(call("ListKeyPolicies", {{"KeyId", id}}).text, R"({"PolicyNames":["default"],"Truncated":false})");
}

TEST_F(ServiceTest, RefusesTheParentUntilTheKeyPolicyNamesIt) {
  const std::string id = create_key();
  const Reply denied = call("DescribeKey", {{"KeyId", id}}, Who::kParent);
  EXPECT_EQ(denied.status, 400U);
  EXPECT_EQ(
      denied.text,
      R"({"__type":"AccessDeniedException","Message":"User: arn:aws:sts::111122223333:assumed-role/casemate-parent/i-0123456789abcdef0 is not authorized to perform: kms:DescribeKey on resource: arn:aws:kms:us-east-1:111122223333:key/)" +
          id + R"( because no identity-based policy allows the kms:DescribeKey action"})");
  EXPECT_EQ(*last_event().string_at("errorCode"), "AccessDenied");
  EXPECT_THAT(audit_text(), HasSubstr("\"decision\""));
  put_policy(
      id,
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"},"Action":"kms:DescribeKey","Resource":"*"})");
  EXPECT_EQ(call("DescribeKey", {{"KeyId", id}}, Who::kParent).status, 200U);
}

TEST_F(ServiceTest, DecryptsWhatItEncryptedForTheSameContext) {
  const std::string id = create_key();
  const json::Object context{{"purpose", "test"}, {"n", "1"}};
  const Reply sealed = call("Encrypt", {{"KeyId", id}, {"Plaintext", "c2VjcmV0"}, {"EncryptionContext", context}});
  ASSERT_EQ(sealed.status, 200U) << sealed.text;
  EXPECT_EQ(sealed.at("KeyId"), "arn:aws:kms:us-east-1:111122223333:key/" + id);
  const std::string blob = sealed.at("CiphertextBlob");
  const Reply opened =
      call("Decrypt", {{"CiphertextBlob", blob}, {"EncryptionContext", json::Object{{"n", "1"}, {"purpose", "test"}}}});
  EXPECT_EQ(opened.at("Plaintext"), "c2VjcmV0");
  EXPECT_EQ(opened.at("EncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
  EXPECT_EQ(opened.at("KeyMaterialId").size(), 64U);
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}}).text, R"({"__type":"InvalidCiphertextException"})");
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", "AAAA"}}).text, R"({"__type":"InvalidCiphertextException"})");
  const Reply other =
      call("Decrypt", {{"CiphertextBlob", blob}, {"EncryptionContext", context}, {"KeyId", create_key()}});
  EXPECT_EQ(other.error(), "IncorrectKeyException");
  EXPECT_THAT(audit_text(), testing::Not(HasSubstr("c2VjcmV0")));
}

TEST_F(ServiceTest, NamesNoKeyForACiphertextOfAnUnknownOne) {
  const std::string id = create_key();
  const std::string blob = encrypt(id, "x");
  EXPECT_EQ(call("ScheduleKeyDeletion", {{"KeyId", id}, {"PendingWindowInDays", 7}}).status, 200U);
  clock_.advance(std::chrono::days{8});
  ASSERT_THAT(keyring_.delete_due(), IsOkAnd(1U));
  const Reply gone = call("Decrypt", {{"CiphertextBlob", blob}});
  EXPECT_EQ(gone.error(), "AccessDeniedException");
  EXPECT_THAT(gone.message(), HasSubstr("does not exist in this region, or you are not allowed to access"));
  EXPECT_EQ(call("DescribeKey", {{"KeyId", id}}).message(),
            "Key 'arn:aws:kms:us-east-1:111122223333:key/" + id + "' does not exist");
}

TEST_F(ServiceTest, KeepsTheLockOutCheckAndTheLimitsOfPolicies) {
  const std::string id = create_key();
  const auto put = [&](const std::string& text, bool bypass = false) {
    return call("PutKeyPolicy", {{"KeyId", id}, {"Policy", text}, {"BypassPolicyLockoutSafetyCheck", bypass}});
  };
  const std::string locked =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"},"Action":"kms:*","Resource":"*"}]})";
  EXPECT_EQ(put(locked).error(), "MalformedPolicyDocumentException");
  EXPECT_EQ(put(locked).message(), "The new key policy will not allow you to update the key policy in the future.");
  EXPECT_EQ(put("{").error(), "MalformedPolicyDocumentException");
  EXPECT_EQ(
      put(policy(
              R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/nobody"},"Action":"kms:*","Resource":"*"})"))
          .message(),
      "Policy contains a statement with one or more invalid principals.");
  EXPECT_EQ(put(std::string(32 * 1024 + 1, ' ')).error(), "LimitExceededException");
  EXPECT_EQ(put(locked, true).status, 200U);
  EXPECT_EQ(put(policy("")).error(), "AccessDeniedException");
}

TEST_F(ServiceTest, FollowsStates) {
  const std::string id = create_key();
  const std::string arn = "arn:aws:kms:us-east-1:111122223333:key/" + id;
  EXPECT_EQ(call("DisableKey", {{"KeyId", id}}).text, "");
  const Reply disabled = call("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}});
  EXPECT_EQ(disabled.error(), "DisabledException");
  EXPECT_EQ(disabled.message(), arn + " is disabled.");
  EXPECT_EQ(call("CancelKeyDeletion", {{"KeyId", id}}).error(), "KMSInvalidStateException");
  const Reply scheduled = call("ScheduleKeyDeletion", {{"KeyId", id}, {"PendingWindowInDays", 7}});
  EXPECT_EQ(scheduled.at("KeyState"), "PendingDeletion");
  EXPECT_EQ(scheduled.at("KeyId"), arn);
  EXPECT_EQ(call("EnableKey", {{"KeyId", id}}).message(), arn + " is pending deletion.");
  EXPECT_EQ(call("CancelKeyDeletion", {{"KeyId", id}}).at("KeyId"), arn);
  EXPECT_EQ(call("EnableKey", {{"KeyId", id}}).status, 200U);
  EXPECT_EQ(call("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}}).status, 200U);
  EXPECT_THAT(call("ScheduleKeyDeletion", {{"KeyId", id}, {"PendingWindowInDays", 6}}).message(),
              HasSubstr("'pendingWindowInDays'"));
}

TEST_F(ServiceTest, KeepsAliasesAsTheServiceDoes) {
  const std::string a = create_key();
  const std::string b = create_key();
  const auto create = [&](const char* name, const std::string& target) {
    return call("CreateAlias", {{"AliasName", name}, {"TargetKeyId", target}});
  };
  EXPECT_EQ(create("alias/x", a).status, 200U);
  EXPECT_EQ(create("alias/x", b).message(),
            "An alias with the name arn:aws:kms:us-east-1:111122223333:alias/x already exists");
  EXPECT_EQ(create("alias/aws/x", a).text, R"({"__type":"NotAuthorizedException"})");
  EXPECT_THAT(create("x", a).message(), HasSubstr("Alias must start with the prefix"));
  EXPECT_EQ(create("alias/y", "alias/x").message(), "Aliases must refer to keys. Not aliases");
  EXPECT_EQ(call("UpdateAlias", {{"AliasName", "alias/x"}, {"TargetKeyId", b}}).status, 200U);
  EXPECT_EQ(encrypt("alias/x", "t").empty(), false);
  EXPECT_THAT(call("ListAliases", {{"KeyId", b}}).text, HasSubstr("\"TargetKeyId\":\"" + b + "\""));
  EXPECT_EQ(call("ListAliases", {{"KeyId", a}}).text, R"({"Aliases":[],"Truncated":false})");
  EXPECT_EQ(call("DeleteAlias", {{"AliasName", "alias/x"}}).status, 200U);
  EXPECT_EQ(call("DescribeKey", {{"KeyId", "alias/x"}}).message(),
            "Alias arn:aws:kms:us-east-1:111122223333:alias/x is not found.");
  EXPECT_EQ(call("EnableKey", {{"KeyId", "alias/x"}}).message(), "Invalid keyId 'alias/x'");
}

TEST_F(ServiceTest, GivesListsInPages) {
  std::set<std::string> made;
  for (int i = 0; i < 5; ++i) made.insert(create_key());
  std::set<std::string> seen;
  json::Object parameters{{"Limit", 2}};
  for (int page = 0; page < 3; ++page) {
    const Reply reply = call("ListKeys", parameters);
    for (const json::Value& key : reply.body.find("Keys")->array()) seen.insert(*key.string_at("KeyId"));
    EXPECT_EQ(*reply.body.find("Truncated")->if_bool(), page < 2);
    parameters.set("Marker", reply.at("NextMarker"));
  }
  EXPECT_EQ(seen, made);
  EXPECT_EQ(call("ListKeys", {{"Marker", "*"}}).error(), "InvalidMarkerException");
  EXPECT_EQ(call("ListAliases", {{"Limit", 101}}).error(), "ValidationException");
}

TEST_F(ServiceTest, GeneratesDataKeysAndRandomBytes) {
  const std::string id = create_key();
  const Reply made = call("GenerateDataKey", {{"KeyId", id}, {"KeySpec", "AES_256"}});
  EXPECT_EQ(decode_base64(made.at("Plaintext"))->size(), 32U);
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", made.at("CiphertextBlob")}}).at("Plaintext"), made.at("Plaintext"));
  const Reply bare = call("GenerateDataKeyWithoutPlaintext", {{"KeyId", id}, {"NumberOfBytes", 64}});
  EXPECT_EQ(bare.body.find("Plaintext"), nullptr);
  EXPECT_EQ(decode_base64(call("Decrypt", {{"CiphertextBlob", bare.at("CiphertextBlob")}}).at("Plaintext"))->size(),
            64U);
  EXPECT_EQ(call("GenerateDataKey", {{"KeyId", id}}).message(), "Please specify either number of bytes or key spec.");
  EXPECT_EQ(decode_base64(call("GenerateRandom", {{"NumberOfBytes", 16}}).at("Plaintext"))->size(), 16U);
  EXPECT_EQ(call("GenerateRandom", {}).message(), "NumberOfBytes is required.");
  EXPECT_EQ(call("GenerateRandom", {{"NumberOfBytes", 1025}}).message(),
            "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must "
            "have value less than or equal to 1024");
}

TEST_F(ServiceTest, ReEncryptsUnderAnotherKeyAndContext) {
  const std::string a = create_key();
  const std::string b = create_key();
  const Reply moved = call("ReEncrypt", {{"CiphertextBlob", encrypt(a, "value")},
                                         {"DestinationKeyId", b},
                                         {"DestinationEncryptionContext", json::Object{{"k", "v"}}}});
  ASSERT_EQ(moved.status, 200U) << moved.text;
  EXPECT_THAT(moved.at("SourceKeyId"), HasSubstr(a));
  EXPECT_EQ(
      call("Decrypt", {{"CiphertextBlob", moved.at("CiphertextBlob")}, {"EncryptionContext", json::Object{{"k", "v"}}}})
          .at("Plaintext"),
      encode_base64(as_bytes("value")));
}

TEST_F(ServiceTest, SaysWhatADryRunWouldHaveDone) {
  const std::string id = create_key();
  const Reply reply = call("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}, {"DryRun", true}});
  EXPECT_EQ(reply.error(), "DryRunOperationException");
  EXPECT_EQ(reply.message(), "The request would have succeeded, but the DryRun option is set.");
  EXPECT_EQ(call("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}, {"DryRun", true}}, Who::kParent).error(),
            "AccessDeniedException");
  EXPECT_EQ(
      call("Decrypt", {{"KeyId", id}, {"DryRun", true}, {"DryRunModifiers", json::Array{"IGNORE_CIPHERTEXT"}}}).error(),
      "DryRunOperationException");
}

TEST_F(ServiceTest, PutsValidationInTheFrameworksWords) {
  EXPECT_EQ(call("DescribeKey", {}).message(),
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null");
  EXPECT_EQ(call("Encrypt", {{"KeyId", ""}}).message(),
            "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1; "
            "Value null at 'plaintext' failed to satisfy constraint: Member must not be null");
  EXPECT_EQ(call("Encrypt", {{"KeyId", "x"}, {"Plaintext", encode_base64(Bytes(4097))}}).message(),
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length "
            "less than or equal to 4096");
  EXPECT_THAT(
      call("CreateKey", {{"KeyUsage", "X"}}).message(),
      HasSubstr(
          "Value 'X' at 'keyUsage' failed to satisfy constraint: Member must satisfy enum value set: [SIGN_VERIFY, "));
  EXPECT_THAT(
      call("CreateKey", {{"Tags", json::Array{json::Object{{"TagKey", ""}, {"TagValue", "v"}}}}}).message(),
      HasSubstr(
          "'tags.1.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1"));
  EXPECT_EQ(call("DescribeKey", {{"KeyId", 5}}).error(), "SerializationException");
  EXPECT_EQ(call("DescribeKey", {{"KeyId", create_key()}, {"Unknown", 1}}).status, 200U);
}

TEST_F(ServiceTest, RefusesWhatIsNotBuiltByName) {
  EXPECT_EQ(call("Nope", {}).text, R"({"__type":"UnknownOperationException"})");
  const Reply post_quantum = call("CreateKey", {{"KeySpec", "ML_DSA_44"}, {"KeyUsage", "SIGN_VERIFY"}});
  EXPECT_EQ(post_quantum.error(), "UnsupportedOperationException");
  EXPECT_THAT(post_quantum.message(), HasSubstr("post-quantum"));
  EXPECT_EQ(call("CreateKey", {{"KeySpec", "RSA_2048"}}).error(), "ValidationException");
  EXPECT_EQ(call("CreateKey", {{"KeySpec", "RSA_2048"}, {"KeyUsage", "KEY_AGREEMENT"}}).message(),
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048");
}

TEST_F(ServiceTest, RefusesRequestsThatAreNotSigned) {
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.headers.add("Host", "localhost");
  request.headers.add("X-Amz-Target", "TrentService.ListKeys");
  request.body = "{}";
  const Reply reply = send(request);
  EXPECT_EQ(reply.error(), "MissingAuthenticationTokenException");
  EXPECT_EQ(audit_text(), "");
}

class RecipientTest : public ServiceTest {
 protected:
  void bind_to_image(const std::string& key) {
    put_policy(
        key,
        R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"},"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*",)"
        R"("Condition":{"StringEqualsIgnoreCase":{"kms:RecipientAttestation:PCR0":")" +
            encode_hex(Bytes(48, 0xab)) + "\"}}}");
  }
  std::string good_document(std::uint8_t pcr0 = 0xab) { return document(pcr0, recipient_key().public_key().spki()); }
};

TEST_F(RecipientTest, EncryptsToTheAttestedKeyOnly) {
  const std::string id = create_key();
  const std::string blob = encrypt(id, "the value");
  bind_to_image(id);
  const Reply reply =
      call("Decrypt", {{"CiphertextBlob", blob}, {"Recipient", recipient(good_document())}}, Who::kParent);
  ASSERT_EQ(reply.status, 200U) << reply.text;
  EXPECT_EQ(reply.body.find("Plaintext"), nullptr);
  EXPECT_EQ(reply.body.find("KeyMaterialId"), nullptr);
  const auto opened =
      crypto::open_enveloped_data(*decode_base64(reply.at("CiphertextForRecipient")), recipient_key(), rng_);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(as_text(opened->expose()), "the value");
  EXPECT_THAT(audit_text(),
              AllOf(HasSubstr("attestationDocumentModuleId"), HasSubstr("attestationDocumentEnclavePCR4")));

  const Reply data_key =
      call("GenerateDataKey", {{"KeyId", id}, {"KeySpec", "AES_256"}, {"Recipient", recipient(good_document())}},
           Who::kParent);
  ASSERT_EQ(data_key.status, 200U) << data_key.text;
  EXPECT_EQ(data_key.body.find("Plaintext"), nullptr);
  const auto key =
      crypto::open_enveloped_data(*decode_base64(data_key.at("CiphertextForRecipient")), recipient_key(), rng_);
  EXPECT_EQ(encode_base64(key->expose()),
            call("Decrypt", {{"CiphertextBlob", data_key.at("CiphertextBlob")}}).at("Plaintext"));
  const Reply random = call("GenerateRandom", {{"NumberOfBytes", 8}, {"Recipient", recipient(good_document())}});
  EXPECT_EQ(
      crypto::open_enveloped_data(*decode_base64(random.at("CiphertextForRecipient")), recipient_key(), rng_)->size(),
      8U);
}

TEST_F(RecipientTest, DeniesOtherImagesAndCallersWithoutDocument) {
  const std::string id = create_key();
  const std::string blob = encrypt(id, "the value");
  bind_to_image(id);
  for (const auto& parameters : {json::Object{{"CiphertextBlob", blob}, {"Recipient", recipient(good_document(0))}},
                                 json::Object{{"CiphertextBlob", blob}}}) {
    const Reply denied = call("Decrypt", parameters, Who::kParent);
    EXPECT_EQ(denied.error(), "AccessDeniedException");
    EXPECT_THAT(
        denied.message(),
        HasSubstr("is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111122223333:key/" +
                  id));
  }
  EXPECT_THAT(audit_text(), AllOf(HasSubstr("\"cause\":\"NoDocument\""), HasSubstr("DebugEnclave")));
}

// The registers of the two families have one form and are never taken for one another.
TEST_F(RecipientTest, KeepsTheRegistersOfANitroTpmApart) {
  const std::string id = create_key();
  const std::string blob = encrypt(id, "the value");
  const Bytes spki = recipient_key().public_key().spki();
  const auto bind = [&](const std::string& register_name, const std::string& oper, std::uint8_t value) {
    put_policy(id, fmt::format(R"({{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"}},)"
                               R"("Action":"kms:Decrypt","Resource":"*","Condition":{{"{}":{{"kms:RecipientAttestation:{}":"{}"}}}}}})",
                               oper, register_name, encode_hex(Bytes(48, value))));
  };
  const auto decrypt_for = [&](const std::string& text) {
    return call("Decrypt", {{"CiphertextBlob", blob}, {"Recipient", recipient(text)}}, Who::kParent);
  };
  for (unsigned i = 0; i < 5; ++i) {
    const auto value = static_cast<std::uint8_t>(i == 0 ? 0xab : i);
    for (const char* oper : {"StringEquals", "StringEqualsIgnoreCase", "StringLike"}) {
      bind(fmt::format("NitroTPMPCR{}", i), oper, value);
      EXPECT_EQ(decrypt_for(document(0xab, spki)).error(), "AccessDeniedException") << i << oper;
      bind(fmt::format("PCR{}", i), oper, value);
      EXPECT_EQ(decrypt_for(document(0xab, spki)).status, 200U) << i << oper;
      // A NitroTPM's document is refused before anything is decided, whatever its registers are.
      const Reply refused = decrypt_for(document_of_a_tpm(0xab, spki));
      EXPECT_EQ(refused.error(), "ValidationException");
      EXPECT_EQ(refused.message(), "The attestation document is not valid.");
    }
  }
  EXPECT_THAT(audit_text(), HasSubstr("the document is a NitroTPM's, want an enclave's"));
}

TEST_F(RecipientTest, RefusesDocumentsBeforeItDecides) {
  const std::string id = create_key();
  const std::string blob = encrypt(id, "the value");
  const auto decrypt_for = [&](const std::string& text) {
    return call("Decrypt", {{"CiphertextBlob", blob}, {"Recipient", recipient(text)}});
  };
  const Bytes spki = recipient_key().public_key().spki();
  EXPECT_EQ(decrypt_for(document(1, spki, kNow - std::chrono::minutes{5})).status, 200U);
  EXPECT_EQ(decrypt_for(document(1, spki, kNow - std::chrono::minutes{5} - std::chrono::milliseconds{1})).message(),
            "The attestation document is too old.");
  EXPECT_THAT(audit_text(), HasSubstr("DocumentStale"));
  EXPECT_EQ(decrypt_for(document(1, std::nullopt)).error(), "ValidationException");
  const Bytes small = crypto::RsaPrivateKey::generate(1024)->public_key().spki();
  EXPECT_EQ(decrypt_for(document(1, small)).error(), "ValidationException");
  EXPECT_EQ(decrypt_for("AAAA").message(), "The attestation document is not valid.");

  attestation::Hierarchy stranger = attestation::Hierarchy::create({}, kNow, rng_);
  std::swap(hierarchy_, stranger);
  EXPECT_EQ(decrypt_for(document(1, spki)).message(), "The attestation document could not be verified.");
  EXPECT_THAT(audit_text(), HasSubstr("DocumentUntrusted"));
}

// The clock of a machine steps when it is set: keys stay usable, nothing is deleted or rotated before its time, and what
// was due is done once.
TEST_F(ServiceTest, SurvivesAClockThatStepsBackAndForward) {
  using std::chrono::hours;
  const std::string id = create_key();
  const std::string blob = encrypt(id, "the value");
  const auto works = [&](const char* when) {
    EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}}).at("Plaintext"), encode_base64(as_bytes("the value"))) << when;
    EXPECT_NE(encrypt(id, "more"), "") << when;
    const std::string other = create_key();
    EXPECT_EQ(call("DescribeKey", {{"KeyId", other}}).status, 200U) << when;
    EXPECT_EQ(call("EnableKeyRotation", {{"KeyId", other}, {"RotationPeriodInDays", 90}}).status, 200U) << when;
  };
  EXPECT_EQ(call("EnableKeyRotation", {{"KeyId", id}, {"RotationPeriodInDays", 90}}).status, 200U);
  const std::string doomed = create_key();
  EXPECT_EQ(call("ScheduleKeyDeletion", {{"KeyId", doomed}, {"PendingWindowInDays", 7}}).status, 200U);

  clock_.set(kNow - hours{24 * 400});
  works("a year back");
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(0U));
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(0U));
  EXPECT_EQ(call("DescribeKey", {{"KeyId", doomed}}).status, 200U);
  clock_.set(WallTime{std::chrono::seconds{1}});
  works("1970");
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(0U));

  clock_.set(kNow);
  works("as it was");
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(0U));
  EXPECT_EQ(call("CancelKeyDeletion", {{"KeyId", doomed}}).status, 200U);
  EXPECT_EQ(call("ScheduleKeyDeletion", {{"KeyId", doomed}, {"PendingWindowInDays", 7}}).status, 200U);

  clock_.set(kNow + hours{24 * 365 * 20});
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(1U));
  EXPECT_EQ(call("DescribeKey", {{"KeyId", doomed}}).error(), "NotFoundException");
  const auto rotated = keyring_.rotate_due();
  ASSERT_THAT(rotated, IsOk());
  EXPECT_GE(*rotated, 1U);
  works("twenty years on");
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(0U));

  clock_.set(kNow);
  works("back again");
  EXPECT_THAT(keyring_.rotate_due(), IsOkAnd(0U));
  EXPECT_THAT(audit::verify_files(folder_ / "audit.jsonl"), IsOk());
}

TEST_F(ServiceTest, WritesEveryCallToTheTrail) {
  const std::string id = create_key();
  call("DescribeKey", {{"KeyId", id}});
  call("DescribeKey", {{"KeyId", id}}, Who::kParent);
  const auto verified = audit::verify_files(folder_ / "audit.jsonl");
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->events, 3U);
}

TEST_F(ServiceTest, GivesHeldAnswersOnceTheirEventsAreWritten) {
  const std::string id = create_key();
  std::vector<Reply> replies;
  const auto done = [&replies](const http::Response& response) { replies.push_back(read(response)); };
  service_->hold(signed_request("GenerateRandom", {{"NumberOfBytes", 8}}), done);
  service_->hold(signed_request("DescribeKey", {{"KeyId", id}}, Who::kParent), done);
  service_->hold(signed_request("NoSuchOperation", {}), done);
  EXPECT_THAT(replies, testing::IsEmpty());
  EXPECT_EQ(audit::verify_files(folder_ / "audit.jsonl")->events, 1U);
  service_->settle();
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].status, 200U);
  EXPECT_EQ(replies[1].error(), "AccessDeniedException");
  EXPECT_EQ(replies[2].error(), "UnknownOperationException");
  EXPECT_EQ(audit::verify_files(folder_ / "audit.jsonl")->events, 3U);
}

TEST_F(ServiceTest, WithholdsHeldAnswersWhoseEventsAreLost) {
  const std::string id = create_key();
  std::vector<Reply> replies;
  const auto done = [&replies](const http::Response& response) { replies.push_back(read(response)); };
  {
    const FileSizeLimit limit(audit_text().size() + 100);
    service_->hold(signed_request("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}}), done);
    service_->hold(signed_request("DescribeKey", {{"KeyId", id}}, Who::kParent), done);
    service_->hold(signed_request("NoSuchOperation", {}), done);
    service_->settle();
  }
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].status, 500U);
  EXPECT_EQ(replies[0].error(), "KMSInternalException");
  EXPECT_THAT(replies[0].text, testing::Not(HasSubstr("CiphertextBlob")));
  EXPECT_EQ(replies[1].status, 500U);
  EXPECT_EQ(replies[2].error(), "UnknownOperationException");
  EXPECT_EQ(audit::verify_files(folder_ / "audit.jsonl")->events, 1U);
  const Reply usage = call("GetKeyLastUsage", {{"KeyId", id}});
  EXPECT_THAT(usage.text, testing::Not(HasSubstr("Encrypt")));
  EXPECT_EQ(call("Encrypt", {{"KeyId", id}, {"Plaintext", "AA=="}}).status, 200U);
}

// CloudTrail calls an operation that changes nothing read-only; only such a one may be held.
TEST(Operations, ThatAreQuickChangeNothing) {
  for (const Operation& operation : all_operations()) EXPECT_TRUE(operation.read_only || !operation.quick) << operation.name;
}

TEST_F(ServiceTest, DecidesOnEncryptionContextTagsAndAliases) {
  const std::string id = create_key({{"Tags", json::Array{json::Object{{"TagKey", "team"}, {"TagValue", "blue"}}}}});
  EXPECT_EQ(call("CreateAlias", {{"AliasName", "alias/app"}, {"TargetKeyId", id}}).status, 200U);
  put_policy(
      id,
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"},"Action":"kms:Encrypt","Resource":"*",)"
      R"("Condition":{"StringEquals":{"kms:RequestAlias":"alias/app","aws:ResourceTag/team":"blue","kms:EncryptionContext:Purpose":"x"},)"
      R"("ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["purpose"]}}})");
  const auto encrypt_as = [&](const std::string& key, json::Object context) {
    return call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}, {"EncryptionContext", std::move(context)}},
                Who::kParent)
        .status;
  };
  EXPECT_EQ(encrypt_as("alias/app", {{"purpose", "x"}}), 200U);
  EXPECT_EQ(encrypt_as(id, {{"purpose", "x"}}), 400U);
  EXPECT_EQ(encrypt_as("alias/app", {{"purpose", "y"}}), 400U);
  EXPECT_EQ(encrypt_as("alias/app", {{"purpose", "x"}, {"more", "x"}}), 400U);
}

}  // namespace
}  // namespace casemate::kms::api
