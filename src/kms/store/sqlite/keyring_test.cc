// SPDX-License-Identifier: Apache-2.0
#include "kms/keyring.h"

#include <gmock/gmock.h>

#include <thread>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "kms/store/sqlite/sqlite_store.h"

namespace casemate::kms {
namespace {

const Realm kHome{"111122223333", "us-east-1"};
constexpr std::string_view kPolicy =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]})";

class KeyringTest : public testing::Test {
 protected:
  KeyRecordPtr create() {
    KeyDraft draft;
    draft.policy = iam::default_key_policy(kHome.account);
    return keyring_.create_key(kHome, draft).take();
  }
  KeyRecordPtr find(const std::string& id) {
    auto located = keyring_.locate({KeyReference::Kind::kKey, kHome, id});
    return located.ok() ? located->record : nullptr;
  }
  std::string alias_target(const std::string& name) {
    auto located = keyring_.locate({KeyReference::Kind::kAlias, kHome, name});
    return located.ok() ? located->record->key.id : "";
  }

  crypto::SystemRng rng_;
  FixedClock clock_{WallTime{std::chrono::hours{500'000}}};
  std::unique_ptr<Store> store_ = store::sqlite::create_memory_store().take();
  RootKey root_ = RootKey::generate(rng_);
  // So few are kept that every test also meets keys that were put out.
  Keyring keyring_{*store_, root_, clock_, rng_, {.cached_keys = 2}};
};

TEST_F(KeyringTest, FindsMoreKeysThanItKeeps) {
  std::vector<KeyRecordPtr> made;
  for (int i = 0; i < 6; ++i) made.push_back(create());
  for (int round = 0; round < 2; ++round) {
    for (const KeyRecordPtr& record : made) {
      const KeyRecordPtr found = find(record->key.id);
      ASSERT_NE(found, nullptr);
      EXPECT_TRUE(found->current_material()->secret == record->current_material()->secret);
      auto owner = keyring_.locate_material(kHome, *record->key.current_material);
      ASSERT_TRUE(owner.ok());
      EXPECT_EQ((*owner)->key.id, record->key.id);
    }
  }
  auto nobody = keyring_.locate_material(kHome, MaterialId{1});
  ASSERT_TRUE(nobody.ok());
  EXPECT_EQ(*nobody, nullptr);
}

TEST_F(KeyringTest, ShowsChangesAtOnceAndKeepsWhatARequestHolds) {
  const KeyRecordPtr before = create();
  ASSERT_TRUE(keyring_.set_policy(*before, kPolicy).ok());
  ASSERT_TRUE(keyring_.set_enabled(*before, Keyring::Enable::kNo).ok());
  const KeyRecordPtr after = find(before->key.id);
  EXPECT_EQ(after->key.policy, kPolicy);
  EXPECT_EQ(after->key.state, KeyState::kDisabled);
  EXPECT_EQ(before->key.state, KeyState::kEnabled);
  EXPECT_NE(before->key.policy, kPolicy);
}

TEST_F(KeyringTest, PinsThePrincipalThatLeaves) {
  const std::string policy =
      R"({"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"kms:*","Resource":"*"}]})";
  std::vector<KeyRecordPtr> made;
  for (int i = 0; i < 5; ++i) made.push_back(create());
  for (const int i : {1, 3}) ASSERT_TRUE(keyring_.set_policy(*made[static_cast<std::size_t>(i)], policy).ok());
  EXPECT_THAT(keyring_.pin_principal(kHome, "arn:aws:iam::111122223333:user/bob", "AIDAEXAMPLEEXAMPLE12"), IsOkAnd(2U));
  EXPECT_THAT(find(made[1]->key.id)->key.policy, testing::HasSubstr("\"AIDAEXAMPLEEXAMPLE12\""));
  EXPECT_EQ(find(made[1]->key.id)->policy.policy->statements.front().principals.front().text, "AIDAEXAMPLEEXAMPLE12");
  EXPECT_EQ(find(made[2]->key.id)->key.policy, made[2]->key.policy);
  EXPECT_THAT(keyring_.pin_principal(kHome, "arn:aws:iam::111122223333:user/bob", "AIDAEXAMPLEEXAMPLE12"), IsOkAnd(0U));
}

TEST_F(KeyringTest, FollowsAliases) {
  const KeyRecordPtr a = create();
  const KeyRecordPtr b = create();
  ASSERT_TRUE(keyring_.create_alias(kHome, "alias/x", *a).ok());
  EXPECT_EQ(alias_target("alias/x"), a->key.id);
  EXPECT_THAT(find(a->key.id)->aliases, testing::ElementsAre("alias/x"));
  EXPECT_EQ(keyring_.create_alias(kHome, "alias/x", *b).error().kind, FaultKind::kAlreadyExists);
  ASSERT_TRUE(keyring_.update_alias(kHome, "alias/x", *b).ok());
  EXPECT_EQ(alias_target("alias/x"), b->key.id);
  EXPECT_THAT(find(a->key.id)->aliases, testing::IsEmpty());
  ASSERT_TRUE(keyring_.delete_alias(kHome, "alias/x").ok());
  EXPECT_EQ(alias_target("alias/x"), "");
  EXPECT_EQ(keyring_.delete_alias(kHome, "alias/x").error().kind, FaultKind::kNotFound);
  EXPECT_EQ(keyring_.update_alias(kHome, "alias/x", *b).error().kind, FaultKind::kNotFound);
}

TEST_F(KeyringTest, HidesAndThenDeletesKeysThatAreDue) {
  const KeyRecordPtr key = create();
  ASSERT_TRUE(keyring_.schedule_deletion(*key, 7).ok());
  EXPECT_EQ(keyring_.schedule_deletion(*key, 7).error().kind, FaultKind::kInvalidState);
  clock_.advance(std::chrono::days{7} - std::chrono::milliseconds{1});
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(0U));
  EXPECT_NE(find(key->key.id), nullptr);
  clock_.advance(std::chrono::milliseconds{1});
  EXPECT_EQ(find(key->key.id), nullptr);
  EXPECT_EQ(keyring_.cancel_deletion(*key).error().kind, FaultKind::kNotFound);
  EXPECT_THAT(keyring_.delete_due(), IsOkAnd(1U));
  EXPECT_THAT(store_->reader()->find_key(key->name()), IsOkAnd(testing::Eq(std::nullopt)));
  EXPECT_EQ(keyring_.set_policy(*key, kPolicy).error().kind, FaultKind::kNotFound);
}

TEST_F(KeyringTest, UsesNoMaterialThatAnotherRootKeyWrapped) {
  const KeyRecordPtr key = create();
  const RootKey other = RootKey::generate(rng_);
  Keyring stranger(*store_, other, clock_, rng_);
  EXPECT_EQ(stranger.locate({KeyReference::Kind::kKey, kHome, key->key.id}).error().kind, FaultKind::kInternal);
}

TEST_F(KeyringTest, NeverKeepsAStaleKeyUnderConcurrentChanges) {
  const KeyRecordPtr key = create();
  std::vector<std::thread> threads;
  std::atomic<bool> done = false;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) EXPECT_NE(find(key->key.id), nullptr);
    });
  }
  for (int i = 0; i < 200; ++i) {
    const auto wanted = i % 2 == 0 ? Keyring::Enable::kNo : Keyring::Enable::kYes;
    ASSERT_TRUE(keyring_.set_enabled(*key, wanted).ok());
    const KeyRecordPtr seen = find(key->key.id);
    ASSERT_EQ(seen->key.state, i % 2 == 0 ? KeyState::kDisabled : KeyState::kEnabled);
  }
  done = true;
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace casemate::kms
