// SPDX-License-Identifier: Apache-2.0
#include "kms/algorithms.h"
#include "kms/api/test_service.h"

namespace casemate::kms::api {
namespace {

using testing::HasSubstr;

std::string base64_of(std::string_view text) {
  return encode_base64(as_bytes(text));
}

class PairTest : public ServiceTest {
 protected:
  std::string pair(std::string_view spec, std::string_view usage) {
    return create_key({{"KeySpec", spec}, {"KeyUsage", usage}});
  }
  Reply sign(const std::string& key, std::string_view algorithm, std::string_view message, json::Object more = {}) {
    json::Object input{{"KeyId", key}, {"SigningAlgorithm", algorithm}, {"Message", base64_of(message)}};
    for (const auto& [name, value] : more) input.set(name, value);
    return call("Sign", std::move(input));
  }
};

TEST_F(PairTest, SignsWithEveryAlgorithmOfEverySpecAsThePublicKeyVerifies) {
  for (const std::string_view spec : {"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
                                      "ECC_NIST_EDWARDS25519", "SM2"}) {
    const std::string key = pair(spec, "SIGN_VERIFY");
    const Reply shown = call("GetPublicKey", {{"KeyId", key}});
    ASSERT_EQ(shown.status, 200U) << shown.text;
    const KeySpec parsed = *parse_key_spec(spec);
    const auto public_key =
        crypto::PublicKey::parse_spki(*key_kind(parsed), decode_base64(shown.at("PublicKey")).take());
    ASSERT_THAT(public_key, IsOk()) << spec;
    for (const std::string_view algorithm : traits_of(parsed).signing_algorithms) {
      if (algorithm == "ED25519_PH_SHA_512") continue;
      SCOPED_TRACE(fmt::format("{} {}", spec, algorithm));
      const Reply signature = sign(key, algorithm, "message");
      ASSERT_EQ(signature.status, 200U) << signature.text;
      EXPECT_TRUE(public_key->verify(*signature_scheme(algorithm), crypto::MessageForm::kMessage, as_bytes("message"),
                                     decode_base64(signature.at("Signature")).take()));
      json::Object claim{{"KeyId", key},
                         {"SigningAlgorithm", algorithm},
                         {"Message", base64_of("message")},
                         {"Signature", signature.at("Signature")}};
      EXPECT_THAT(call("Verify", claim).text, HasSubstr("\"SignatureValid\":true"));
      claim.set("Message", base64_of("massage"));
      EXPECT_EQ(call("Verify", claim).text, R"({"__type":"KMSInvalidSignatureException"})");
    }
  }
}

TEST_F(PairTest, SignsDigestsAndRefusesThoseOfAnotherLength) {
  const std::string key = pair("ECC_NIST_P256", "SIGN_VERIFY");
  const auto digest = crypto::sha256(as_bytes("message"));
  const Reply signature = sign(key, "ECDSA_SHA_256", as_text(digest), {{"MessageType", "DIGEST"}});
  ASSERT_EQ(signature.status, 200U) << signature.text;
  EXPECT_EQ(call("Verify", {{"KeyId", key},
                            {"SigningAlgorithm", "ECDSA_SHA_256"},
                            {"Message", base64_of("message")},
                            {"Signature", signature.at("Signature")}})
                .status,
            200U);
  EXPECT_EQ(sign(key, "ECDSA_SHA_256", "short", {{"MessageType", "DIGEST"}}).message(),
            "Digest is invalid length for algorithm ECDSA_SHA_256.");
  const std::string edwards = pair("ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
  EXPECT_EQ(sign(edwards, "ED25519_SHA_512", "x", {{"MessageType", "DIGEST"}}).error(), "ValidationException");
  EXPECT_EQ(sign(edwards, "ED25519_PH_SHA_512", std::string(64, 'x'), {{"MessageType", "DIGEST"}}).error(),
            "UnsupportedOperationException");
}

TEST_F(PairTest, RefusesOtherUsagesAlgorithmsAndStates) {
  const std::string key = pair("ECC_NIST_P384", "SIGN_VERIFY");
  const std::string arn = "arn:aws:kms:us-east-1:111122223333:key/" + key;
  const Reply other = sign(key, "RSASSA_PSS_SHA_256", "x");
  EXPECT_EQ(other.error(), "InvalidKeyUsageException");
  EXPECT_EQ(other.message(), "Algorithm RSASSA_PSS_SHA_256 is incompatible with key spec ECC_NIST_P384.");
  EXPECT_EQ(call("Encrypt", {{"KeyId", key}, {"Plaintext", "AA=="}}).message(),
            arn + " key usage is SIGN_VERIFY which is not valid for Encrypt.");
  EXPECT_EQ(sign(key, "ECDSA_SHA_384", "x", {{"DryRun", true}}).error(), "DryRunOperationException");
  EXPECT_EQ(call("GetPublicKey", {{"KeyId", create_key()}}).error(), "UnsupportedOperationException");
  EXPECT_EQ(call("DisableKey", {{"KeyId", key}}).status, 200U);
  EXPECT_EQ(sign(key, "ECDSA_SHA_384", "x").message(), arn + " is disabled.");
  const Reply described = call("DescribeKey", {{"KeyId", key}});
  EXPECT_THAT(described.text, HasSubstr(R"("SigningAlgorithms":["ECDSA_SHA_384"])"));
  EXPECT_THAT(described.text, testing::Not(HasSubstr("CurrentKeyMaterialId")));
}

TEST_F(PairTest, EncryptsUnderPairsWithoutContext) {
  for (const auto& [spec, algorithm] :
       {std::pair{"RSA_2048", "RSAES_OAEP_SHA_1"}, {"RSA_2048", "RSAES_OAEP_SHA_256"}, {"SM2", "SM2PKE"}}) {
    SCOPED_TRACE(algorithm);
    const std::string key = pair(spec, "ENCRYPT_DECRYPT");
    const Reply sealed =
        call("Encrypt", {{"KeyId", key}, {"Plaintext", "c2VjcmV0"}, {"EncryptionAlgorithm", algorithm}});
    ASSERT_EQ(sealed.status, 200U) << sealed.text;
    const std::string blob = sealed.at("CiphertextBlob");
    const Reply opened =
        call("Decrypt", {{"KeyId", key}, {"CiphertextBlob", blob}, {"EncryptionAlgorithm", algorithm}});
    EXPECT_EQ(opened.at("Plaintext"), "c2VjcmV0") << opened.text;
    EXPECT_EQ(opened.body.find("KeyMaterialId"), nullptr);
    EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", blob}, {"EncryptionAlgorithm", algorithm}}).error(),
              "ValidationException");
    EXPECT_EQ(call("Decrypt", {{"KeyId", key}, {"CiphertextBlob", "AAAA"}, {"EncryptionAlgorithm", algorithm}}).text,
              R"({"__type":"InvalidCiphertextException"})");
    EXPECT_EQ(call("Encrypt", {{"KeyId", key},
                               {"Plaintext", "AA=="},
                               {"EncryptionAlgorithm", algorithm},
                               {"EncryptionContext", json::Object{{"a", "b"}}}})
                  .error(),
              "ValidationException");
    const Reply moved = call("ReEncrypt", {{"CiphertextBlob", blob},
                                           {"SourceKeyId", key},
                                           {"SourceEncryptionAlgorithm", algorithm},
                                           {"DestinationKeyId", create_key()}});
    ASSERT_EQ(moved.status, 200U) << moved.text;
    EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", moved.at("CiphertextBlob")}}).at("Plaintext"), "c2VjcmV0");
  }
  const std::string key = pair("RSA_2048", "ENCRYPT_DECRYPT");
  EXPECT_EQ(call("Encrypt", {{"KeyId", key},
                             {"Plaintext", base64_of(std::string(215, 'x'))},
                             {"EncryptionAlgorithm", "RSAES_OAEP_SHA_1"}})
                .message(),
            "Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes.");
}

TEST_F(PairTest, MakesAndChecksMacsOfEveryLength) {
  for (const auto& [spec, algorithm, length] : {std::tuple{"HMAC_224", "HMAC_SHA_224", 28U},
                                                {"HMAC_256", "HMAC_SHA_256", 32U},
                                                {"HMAC_384", "HMAC_SHA_384", 48U},
                                                {"HMAC_512", "HMAC_SHA_512", 64U}}) {
    SCOPED_TRACE(spec);
    const std::string key = pair(spec, "GENERATE_VERIFY_MAC");
    const Reply made = call("GenerateMac", {{"KeyId", key}, {"Message", "AA=="}, {"MacAlgorithm", algorithm}});
    ASSERT_EQ(made.status, 200U) << made.text;
    EXPECT_EQ(decode_base64(made.at("Mac"))->size(), length);
    json::Object claim{{"KeyId", key}, {"Message", "AA=="}, {"MacAlgorithm", algorithm}, {"Mac", made.at("Mac")}};
    EXPECT_THAT(call("VerifyMac", claim).text, HasSubstr("\"MacValid\":true"));
    claim.set("Message", "AQ==");
    EXPECT_EQ(call("VerifyMac", claim).text, R"({"__type":"KMSInvalidMacException"})");
  }
  const std::string key = pair("HMAC_224", "GENERATE_VERIFY_MAC");
  EXPECT_EQ(call("GenerateMac", {{"KeyId", key}, {"Message", "AA=="}, {"MacAlgorithm", "HMAC_SHA_256"}}).message(),
            "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.");
}

TEST_F(PairTest, DerivesTheSecretThatThePeerDerives) {
  for (const std::string_view spec : {"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "SM2"}) {
    SCOPED_TRACE(spec);
    const std::string key = pair(spec, "KEY_AGREEMENT");
    const crypto::KeyKind kind = *key_kind(*parse_key_spec(spec));
    const crypto::PrivateKey peer = crypto::PrivateKey::generate(kind).take();
    const Reply derived = call(
        "DeriveSharedSecret",
        {{"KeyId", key}, {"KeyAgreementAlgorithm", "ECDH"}, {"PublicKey", encode_base64(peer.public_key().spki())}});
    ASSERT_EQ(derived.status, 200U) << derived.text;
    const Reply shown = call("GetPublicKey", {{"KeyId", key}});
    EXPECT_THAT(shown.text, HasSubstr(R"("KeyAgreementAlgorithms":["ECDH"])"));
    const auto own = crypto::PublicKey::parse_spki(kind, decode_base64(shown.at("PublicKey")).take());
    EXPECT_EQ(derived.at("SharedSecret"), encode_base64(peer.agree(*own).take().expose()));
    EXPECT_EQ(
        call("DeriveSharedSecret", {{"KeyId", key}, {"KeyAgreementAlgorithm", "ECDH"}, {"PublicKey", "AAAA"}}).text,
        R"({"__type":"ValidationException"})");
  }
}

TEST_F(PairTest, DeliversPairsAndSecretsToTheAttestedKeyOnly) {
  const std::string key = create_key();
  const Reply plain = call("GenerateDataKeyPair", {{"KeyId", key}, {"KeyPairSpec", "ECC_NIST_P256"}});
  ASSERT_EQ(plain.status, 200U) << plain.text;
  const auto pkcs8 = decode_base64(plain.at("PrivateKeyPlaintext"));
  const auto private_key = crypto::PrivateKey::parse_pkcs8(crypto::KeyKind::kP256, Secret::copy_of(*pkcs8));
  ASSERT_THAT(private_key, IsOk());
  EXPECT_EQ(encode_base64(private_key->public_key().spki()), plain.at("PublicKey"));
  EXPECT_EQ(call("Decrypt", {{"CiphertextBlob", plain.at("PrivateKeyCiphertextBlob")}}).at("Plaintext"),
            plain.at("PrivateKeyPlaintext"));
  EXPECT_EQ(call("GenerateDataKeyPairWithoutPlaintext", {{"KeyId", key}, {"KeyPairSpec", "SM2"}})
                .body.find("PrivateKeyPlaintext"),
            nullptr);
  EXPECT_EQ(call("GenerateDataKeyPair", {{"KeyId", key}, {"KeyPairSpec", "ML_KEM_512"}}).error(),
            "UnsupportedOperationException");

  const json::Value to = recipient(document(1, recipient_key().public_key().spki()));
  const Reply attested =
      call("GenerateDataKeyPair", {{"KeyId", key}, {"KeyPairSpec", "ECC_NIST_P256"}, {"Recipient", to}});
  ASSERT_EQ(attested.status, 200U) << attested.text;
  EXPECT_EQ(attested.body.find("PrivateKeyPlaintext"), nullptr);
  const auto opened =
      crypto::open_enveloped_data(decode_base64(attested.at("CiphertextForRecipient")).take(), recipient_key(), rng_);
  ASSERT_THAT(opened, IsOk());
  EXPECT_THAT(crypto::PrivateKey::parse_pkcs8(crypto::KeyKind::kP256, *opened), IsOk());

  const std::string agreement = pair("ECC_NIST_P256", "KEY_AGREEMENT");
  const Reply secret = call("DeriveSharedSecret", {{"KeyId", agreement},
                                                   {"KeyAgreementAlgorithm", "ECDH"},
                                                   {"PublicKey", plain.at("PublicKey")},
                                                   {"Recipient", to}});
  ASSERT_EQ(secret.status, 200U) << secret.text;
  EXPECT_EQ(secret.body.find("SharedSecret"), nullptr);
  EXPECT_THAT(
      crypto::open_enveloped_data(decode_base64(secret.at("CiphertextForRecipient")).take(), recipient_key(), rng_),
      IsOk());
  EXPECT_THAT(audit_text(), testing::Not(HasSubstr(plain.at("PrivateKeyPlaintext"))));
}

}  // namespace
}  // namespace casemate::kms::api
