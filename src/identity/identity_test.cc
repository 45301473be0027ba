// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "identity/directory.h"
#include "identity/state_json.h"

namespace casemate::identity {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAccount = "111122223333";
const WallTime kNow{std::chrono::seconds{1'800'000'000}};

constexpr std::string_view kDeclaration = R"({"accounts":[{"id":"444455556666","alias":"partner",
  "policies":[{"name":"reader","document":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:List*","Resource":"*"}}}],
  "groups":[{"name":"ops","managedPolicies":["arn:aws:iam::444455556666:policy/reader"]}],
  "users":[{"name":"alice","path":"/eng/","groups":["ops"],"tags":{"team":"blue"},"accessKey":true,
            "boundary":"arn:aws:iam::aws:policy/PowerUserAccess",
            "policies":{"own":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}}}}],
  "roles":[{"name":"app","trust":{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}},
            "maxSessionDuration":7200}],
  "instanceProfiles":[{"name":"app","role":"app"}]}]})";

class IdentityTest : public testing::Test {
 protected:
  State found(std::vector<NewKey>* keys = nullptr) {
    State state;
    Founder founder(state, sealer_, kNow, rng_);
    founder.found_account(kAccount);
    founder.add_key(kAccount, "admin", "AKIAADMIN", Secret::copy_of(as_bytes("a secret of the test")));
    EXPECT_THAT(founder.add_instance_role("arn:aws:iam::111122223333:role/svc/parent"), IsOk());
    EXPECT_THAT(founder.declare(json::parse(kDeclaration).take()), IsOk());
    if (keys != nullptr) *keys = founder.take_keys();
    return state;
  }

  crypto::SystemRng rng_;
  TokenSealer sealer_{Secret::copy_of(Bytes(32, 5))};
};

TEST_F(IdentityTest, FoundsAccountsAndRemembersThem) {
  std::vector<NewKey> keys;
  const State state = found(&keys);
  EXPECT_EQ(keys.size(), 3U);  // admin of both accounts, alice
  const std::string text = encode_state(state);
  for (const NewKey& key : keys) EXPECT_THAT(text, Not(HasSubstr(std::string(as_text(key.secret->expose())))));
  const auto again = parse_state(text, &sealer_);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(encode_state(*again), text);
  const EntityPtr alice = again->find("444455556666", Kind::kUser, "ALICE");
  ASSERT_NE(alice, nullptr);
  EXPECT_EQ(alice->arn(), "arn:aws:iam::444455556666:user/eng/alice");
  EXPECT_EQ(identity_policies_of(*again, *alice).size(), 2U);
  EXPECT_EQ(boundary_of(*again, *alice)->name, "PowerUserAccess");
  EXPECT_EQ(again->find_role("arn:aws:iam::444455556666:role/app")->max_session, std::chrono::seconds{7200});
  EXPECT_EQ(again->find_profile("444455556666", "app")->role, "app");
  const TokenSealer other(Secret::copy_of(Bytes(32, 6)));
  EXPECT_THAT(parse_state(text, &other), IsError(ErrorCode::kUntrusted));
}

TEST_F(IdentityTest, DeclaresAnAccountOnce) {
  State state = found();
  const std::string before = encode_state(state);
  Founder founder(state, sealer_, kNow + std::chrono::hours{1}, rng_);
  founder.found_account(kAccount);
  EXPECT_THAT(founder.add_instance_role("arn:aws:iam::111122223333:role/svc/parent"), IsOk());
  EXPECT_THAT(founder.declare(json::parse(kDeclaration).take()), IsOk());
  EXPECT_EQ(encode_state(state), before);
  EXPECT_TRUE(founder.take_keys().empty());
}

TEST_F(IdentityTest, NamesWhatADeclarationGetsWrong) {
  const auto declare = [&](std::string_view text) {
    State state;
    Founder founder(state, sealer_, kNow, rng_);
    return founder.declare(json::parse(text).take());
  };
  EXPECT_THAT(declare(R"({"accounts":[{"id":"12"}]})"), IsError(ErrorCode::kMalformed, HasSubstr("accounts[0]: id")));
  EXPECT_THAT(declare(R"({"accounts":[{"id":"444455556666","users":[{"name":"a","groups":["none"]}]}]})"),
              IsError(ErrorCode::kNotFound, HasSubstr("users[0]: a: group none")));
  EXPECT_THAT(declare(R"({"accounts":[{"id":"444455556666","users":[{"name":"a b"}]}]})"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(declare(R"({"accounts":[{"id":"444455556666","roles":[{"name":"a"}]}]})"),
              IsError(ErrorCode::kMalformed, HasSubstr("trust: missing")));
  EXPECT_THAT(declare(R"({"accounts":[{"id":"444455556666","users":[{"name":"a"},{"name":"A"}]}]})"),
              IsError(ErrorCode::kConflict));
}

TEST_F(IdentityTest, RefusesDamagedState) {
  const std::string text = encode_state(found());
  for (std::size_t length = 0; length < text.size(); length += 7) EXPECT_FALSE(parse_state(text.substr(0, length), &sealer_).ok());
  EXPECT_THAT(parse_state(R"({"version":2})", &sealer_), IsError(ErrorCode::kUnsupported));
}

TEST_F(IdentityTest, LetsChangesTakeEffectAtOnceOrNotAtAll) {
  bool failing = false;
  std::string saved;
  Directory directory(TokenSealer(Secret::copy_of(Bytes(32, 5))), found(), [&](const State& state) {
    if (failing) return Result<void>(internal("disk"));
    saved = encode_state(state);
    return Result<void>();
  });
  const auto find = [&] { return directory.find("AKIAADMIN", std::nullopt, kNow); };
  EXPECT_EQ(find().identity->identity_policies.size(), 1U);
  EXPECT_EQ(find().identity, find().identity);  // worked out once
  const auto detach = [](State& state) {
    Entity admin = *state.find(kAccount, Kind::kUser, "admin");
    admin.attached.clear();
    state.put(std::move(admin));
    return true;
  };
  failing = true;
  EXPECT_THAT(directory.change(detach), IsError(ErrorCode::kInternal));
  EXPECT_EQ(find().identity->identity_policies.size(), 1U);
  failing = false;
  EXPECT_THAT(directory.change([&](State& state) { return detach(state) && false; }), IsOkAnd(false));
  EXPECT_EQ(find().identity->identity_policies.size(), 1U);
  EXPECT_THAT(directory.change(detach), IsOkAnd(true));
  EXPECT_TRUE(find().identity->identity_policies.empty());
  EXPECT_EQ(saved, encode_state(*directory.state()));
}

TEST_F(IdentityTest, KnowsWhoExists) {
  const State state = found();
  const auto exists = [&](const char* text) { return principal_exists(state, {iam::PrincipalKind::kAws, text}); };
  EXPECT_TRUE(exists("111122223333"));
  EXPECT_TRUE(exists("arn:aws:iam::111122223333:root"));
  EXPECT_TRUE(exists("arn:aws:iam::111122223333:user/admin"));
  EXPECT_TRUE(exists("arn:aws:iam::111122223333:role/svc/parent"));
  EXPECT_FALSE(exists("arn:aws:iam::111122223333:role/parent"));
  EXPECT_TRUE(exists("arn:aws:sts::111122223333:assumed-role/parent/i-0"));
  EXPECT_TRUE(exists("arn:aws:iam::999922223333:user/anyone"));
  EXPECT_FALSE(exists("arn:aws:iam::111122223333:user/nobody"));
  EXPECT_FALSE(exists("arn:aws:sts::111122223333:assumed-role/none/i-0"));
  EXPECT_FALSE(exists("arn:aws-cn:iam::111122223333:root"));
  EXPECT_TRUE(exists(state.find(kAccount, Kind::kUser, "admin")->id.c_str()));
  EXPECT_TRUE(exists(state.find(kAccount, Kind::kRole, "parent")->id.c_str()));
  EXPECT_FALSE(exists(state.find("444455556666", Kind::kGroup, "ops")->id.c_str()));
  EXPECT_FALSE(exists("AROAAAAAAAAAAAAAAAAAA"));
}

TEST_F(IdentityTest, KeysTellTheirAccount) {
  for (const char* account : {"000000000000", "111122223333", "999999999999"}) {
    const std::string id = make_access_key_id("ASIA", account, rng_);
    EXPECT_THAT(id, testing::MatchesRegex("ASIA[A-Z2-7]{16}"));
    EXPECT_EQ(account_of_key(id), account);
  }
  EXPECT_EQ(account_of_key("AKIA"), std::nullopt);
  EXPECT_EQ(account_of_key("AKIA7777777777777777"), std::nullopt);
}

TEST(TokenSealer, OpensOnlyWhatItSealed) {
  crypto::SystemRng rng;
  const TokenSealer sealer(Secret::copy_of(Bytes(32, 5)));
  Session session;
  session.access_key_id = "ASIA";
  session.secret_access_key = Secret::copy_of(as_bytes("s"));
  session.tags = {{"team", "blue"}};
  session.transitive_tag_keys = {"team"};
  const std::string token = sealer.seal(session, rng);
  const auto opened = sealer.open(token);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(opened->tags, session.tags);
  EXPECT_THAT(TokenSealer(Secret::copy_of(Bytes(32, 6))).open(token), IsError(ErrorCode::kUntrusted));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    EXPECT_THAT(sealer.open(damaged), IsError(ErrorCode::kUntrusted)) << i;
  }
  const std::string sealed = sealer.seal_secret("AKIA1", session.secret_access_key, rng);
  EXPECT_THAT(sealer.open_secret("AKIA1", sealed), IsOk());
  EXPECT_THAT(sealer.open_secret("AKIA2", sealed), IsError(ErrorCode::kUntrusted));
}

}  // namespace
}  // namespace casemate::identity
