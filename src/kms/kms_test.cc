// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "kms/ciphertext.h"
#include "kms/identifier.h"
#include "kms/root_key.h"
#include "kms/state.h"

namespace casemate::kms {
namespace {

const Realm kRealm{"111122223333", "us-east-1"};
const EncryptionContext kContext{{"b", "2"}, {"a", "1"}};

class Ciphertext : public testing::Test {
 protected:
  Bytes seal(std::string_view plaintext, const EncryptionContext& context = kContext) {
    return seal_ciphertext(key_, material_, context, Secret::copy_of(as_bytes(plaintext)), rng_);
  }
  Result<Secret> open(ByteView blob, const EncryptionContext& context = kContext) {
    return open_ciphertext(key_, TRY(parse_ciphertext(blob)), context);
  }

  crypto::SystemRng rng_;
  const Secret key_ = Secret::copy_of(Bytes(32, 1));
  const MaterialId material_{1, 2, 3};
};

TEST_F(Ciphertext, HasTheOutwardFormOfTheService) {
  const Bytes blob = seal("16 bytes of text");
  EXPECT_TRUE(encode_base64(blob).starts_with("AQICAHg"));
  EXPECT_EQ(blob.size(), 16 + kCiphertextOverhead);
  EXPECT_LE(seal(std::string(kMaxPlaintext, 'x')).size(), kMaxCiphertextBlob);
}

TEST_F(Ciphertext, OpensForTheSameContextInAnyOrderOnly) {
  for (const std::size_t size : {1UL, 60UL, 100UL, 101UL, 128UL, 228UL, 229UL, 230UL, 300UL, 4096UL}) {
    const std::string plaintext(size, 'p');
    const auto opened = open(seal(plaintext), {{"a", "1"}, {"b", "2"}});
    ASSERT_THAT(opened, IsOk()) << size;
    EXPECT_EQ(as_text(opened->expose()), plaintext);
  }
  const Bytes blob = seal("x");
  for (const EncryptionContext& other : {EncryptionContext{},
                                         {{"a", "1"}},
                                         {{"a", "1"}, {"b", "3"}},
                                         {{"A", "1"}, {"b", "2"}},
                                         {{"a", "1b"}, {"", "2"}}}) {
    EXPECT_THAT(open(blob, other), IsError(ErrorCode::kUntrusted));
  }
}

TEST_F(Ciphertext, RefusesEveryOtherByteAndLength) {
  const Bytes blob = seal("some plaintext");
  for (std::size_t i = 0; i < blob.size(); ++i) {
    for (const int bit : {1, 0x80}) {
      Bytes damaged = blob;
      damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ bit);
      EXPECT_FALSE(open(damaged).ok()) << i;
    }
    EXPECT_FALSE(open(ByteView(blob).first(i)).ok()) << i;
  }
  Bytes longer = blob;
  longer.push_back(0);
  EXPECT_THAT(parse_ciphertext(longer), IsError(ErrorCode::kMalformed));
}

TEST(RootKey, OpensMaterialOnlyUnderItsOwnName) {
  crypto::SystemRng rng;
  const RootKey root = RootKey::generate(rng);
  const MaterialId id{1};
  const Bytes wrapped = root.wrap_material("arn:1", id, 1, Secret::copy_of(as_bytes("material")), rng);
  const auto opened = root.unwrap_material("arn:1", id, 1, wrapped);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(as_text(opened->expose()), "material");
  EXPECT_THAT(root.unwrap_material("arn:2", id, 1, wrapped), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(root.unwrap_material("arn:1", MaterialId{2}, 1, wrapped), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(root.unwrap_material("arn:1", id, 2, wrapped), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(RootKey::generate(rng).unwrap_material("arn:1", id, 1, wrapped), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(RootKey::from(Secret::of_size(31)), IsError(ErrorCode::kMalformed));
  EXPECT_NE(root.check_value(), RootKey::generate(rng).check_value());
}

std::string text_of(const Fault& fault) {
  return fault.message.value_or("(none)");
}

TEST(KeyReference, TakesIdsArnsAndAliases) {
  const std::string id = "1234abcd-12ab-34cd-56ef-1234567890ab";
  for (const std::string& text : {id, key_arn(kRealm, id), std::string("mrk-0123456789abcdef0123456789abcdef")}) {
    auto reference = parse_key_reference(text, kRealm, AllowAlias::kNo);
    ASSERT_TRUE(reference.ok()) << text;
    EXPECT_EQ(reference->kind, KeyReference::Kind::kKey);
  }
  for (const std::string& text : {std::string("alias/x"), alias_arn(kRealm, "alias/x")}) {
    auto reference = parse_key_reference(text, kRealm, AllowAlias::kYes);
    ASSERT_TRUE(reference.ok()) << text;
    EXPECT_EQ(reference->name, "alias/x");
    EXPECT_FALSE(parse_key_reference(text, kRealm, AllowAlias::kNo).ok());
  }
}

TEST(KeyReference, NamesWhatIsWrong) {
  const auto message = [](std::string_view text) {
    return text_of(parse_key_reference(text, kRealm, AllowAlias::kYes).error());
  };
  EXPECT_EQ(message("xyz"), "Invalid keyId 'xyz'");
  EXPECT_EQ(message("1234ABCD-12ab-34cd-56ef-1234567890ab"), "Invalid keyId '1234ABCD-12ab-34cd-56ef-1234567890ab'");
  EXPECT_EQ(message("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
            "Invalid arn eu-west-1");
  EXPECT_EQ(message("arn:aws:kms:us-east-1:111122223333:key/x"), "Invalid keyId 'x'");
  EXPECT_EQ(parse_key_reference("arn:aws:s3:::bucket", kRealm, AllowAlias::kYes).error().kind, FaultKind::kInvalidArn);
}

TEST(AliasName, IsCheckedAsTheServiceDoes) {
  EXPECT_TRUE(check_alias_name("alias/my_key-1/x").ok());
  EXPECT_THAT(text_of(check_alias_name("x").error()), testing::HasSubstr("must start with the prefix \"alias/\""));
  EXPECT_EQ(text_of(check_alias_name("alias/").error()), "Invalid identifier");
  EXPECT_THAT(text_of(check_alias_name("alias/a b").error()), testing::HasSubstr("invalid characters"));
  EXPECT_EQ(check_alias_name("alias/aws/x").error().kind, FaultKind::kNotAuthorized);
  EXPECT_EQ(text_of(check_alias_name("alias/aws/x").error()), "(none)");
}

TEST(KeyStates, FollowTheTable) {
  const auto verdict = [](StateRule rule, KeyState state) {
    const auto outcome = check_state(rule, state, "ARN");
    return outcome.ok() ? std::string("ok") : text_of(outcome.error());
  };
  EXPECT_EQ(verdict(StateRule::kUse, KeyState::kEnabled), "ok");
  EXPECT_EQ(verdict(StateRule::kUse, KeyState::kDisabled), "ARN is disabled.");
  EXPECT_EQ(verdict(StateRule::kUse, KeyState::kPendingDeletion), "ARN is pending deletion.");
  EXPECT_EQ(verdict(StateRule::kUse, KeyState::kPendingImport), "ARN is pending import.");
  EXPECT_EQ(verdict(StateRule::kEnable, KeyState::kDisabled), "ok");
  EXPECT_EQ(verdict(StateRule::kEnable, KeyState::kPendingDeletion), "ARN is pending deletion.");
  EXPECT_EQ(verdict(StateRule::kCancelDeletion, KeyState::kEnabled), "ARN is not pending deletion.");
  EXPECT_EQ(verdict(StateRule::kScheduleDeletion, KeyState::kUpdating), "ARN is updating.");
  for (const auto state : {KeyState::kCreating, KeyState::kUnavailable, KeyState::kPendingDeletion}) {
    EXPECT_EQ(verdict(StateRule::kAlways, state), "ok");
  }
}

TEST(Names, RoundTrip) {
  for (int i = 0; i <= static_cast<int>(KeySpec::kMlDsa87); ++i) {
    const auto spec = static_cast<KeySpec>(i);
    EXPECT_EQ(parse_key_spec(to_string(spec)), spec);
  }
  EXPECT_EQ(parse_key_state("PendingReplicaDeletion"), KeyState::kPendingReplicaDeletion);
  EXPECT_EQ(parse_key_usage("nope"), std::nullopt);
}

}  // namespace
}  // namespace casemate::kms
