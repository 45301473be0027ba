// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "sts/service.h"

namespace casemate::sts {
namespace {

using testing::HasSubstr;

constexpr std::string_view kAccount = "111122223333";
const WallTime kNow{std::chrono::seconds{1'800'000'000}};

class Sts : public testing::Test {
 protected:
  Sts() {
    User admin;
    admin.account = kAccount;
    admin.name = "admin";
    admin.access_key_id = "AKIDADMIN";
    admin.secret_access_key = Secret::copy_of(as_bytes("secret"));
    admin.policies = {
        {"AdministratorAccess",
         iam::parse_policy(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})",
                           iam::PolicyType::kIdentity)
             .take()}};
    EXPECT_THAT(directory_.add_user(std::move(admin)), IsOk());
    Role parent;
    parent.account = kAccount;
    parent.name = "casemate-parent";
    parent.trust =
        iam::parse_policy(
            R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com","AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]})",
            iam::PolicyType::kTrust)
            .take();
    EXPECT_THAT(directory_.add_role(std::move(parent)), IsOk());
  }

  http::Response call(std::string_view body, const sigv4::Credentials& credentials) {
    http::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers.add("Host", "sts.us-east-1.amazonaws.com");
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = body;
    EXPECT_THAT(sigv4::sign(request, credentials, "us-east-1", "sts", clock_.now()), IsOk());
    return service_.handle(request);
  }
  http::Response call(std::string_view body) { return call(body, sigv4::Credentials::of("AKIDADMIN", "secret")); }
  const Role& parent() { return *directory_.find_role("arn:aws:iam::111122223333:role/casemate-parent"); }
  sigv4::Credentials session(std::chrono::seconds lifetime) {
    const SessionCredentials made = directory_.issue(parent(), "i-0123456789abcdef0", {}, lifetime, clock_.now(), rng_);
    return sigv4::Credentials::of(made.access_key_id, as_text(made.secret_access_key.expose()), made.session_token);
  }
  static std::string between(const std::string& text, const std::string& name) {
    const std::size_t from = text.find("<" + name + ">") + name.size() + 2;
    return text.substr(from, text.find("</" + name + ">") - from);
  }

  crypto::SystemRng rng_;
  FixedClock clock_{kNow};
  Directory directory_{TokenSealer(Secret::copy_of(Bytes(32, 5)))};
  std::vector<json::Object> events_;
  Service service_{directory_,
                   [this](json::Object event) {
                     events_.push_back(std::move(event));
                     return Result<void>();
                   },
                   clock_,
                   rng_,
                   Log{},
                   {}};
};

TEST_F(Sts, NamesTheCaller) {
  const http::Response admin = call("Action=GetCallerIdentity&Version=2011-06-15");
  EXPECT_EQ(admin.status, 200U);
  EXPECT_EQ(between(admin.body, "Arn"), "arn:aws:iam::111122223333:user/admin");
  EXPECT_EQ(between(admin.body, "Account"), kAccount);
  const http::Response role = call("Action=GetCallerIdentity&Version=2011-06-15", session(std::chrono::hours{1}));
  EXPECT_EQ(between(role.body, "Arn"), "arn:aws:sts::111122223333:assumed-role/casemate-parent/i-0123456789abcdef0");
  EXPECT_THAT(between(role.body, "UserId"), testing::EndsWith(":i-0123456789abcdef0"));
  EXPECT_EQ(events_.size(), 2U);
}

TEST_F(Sts, RefusesExpiredForeignAndMixedTokens) {
  const sigv4::Credentials good = session(std::chrono::hours{1});
  const std::string body = "Action=GetCallerIdentity&Version=2011-06-15";
  clock_.advance(std::chrono::hours{1});
  EXPECT_THAT(call(body, good).body, HasSubstr("<Code>ExpiredToken</Code>"));
  clock_.set(kNow);
  EXPECT_THAT(
      call(body, sigv4::Credentials::of(good.access_key_id, as_text(good.secret_access_key.expose()), "bm90IG91cnM="))
          .body,
      HasSubstr("InvalidClientTokenId"));
  EXPECT_THAT(call(body, sigv4::Credentials::of("AKIDADMIN", "secret", good.session_token)).body,
              HasSubstr("InvalidClientTokenId"));
  EXPECT_THAT(call(body, sigv4::Credentials::of(good.access_key_id, as_text(good.secret_access_key.expose()))).body,
              HasSubstr("InvalidClientTokenId"));
  EXPECT_EQ(call(body, sigv4::Credentials::of("AKIDADMIN", "wrong")).status, 403U);
}

TEST_F(Sts, GivesSessionsOfRolesToThoseThatMayHaveThem) {
  const http::Response assumed = call(
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fcasemate-parent&"
      "RoleSessionName=test");
  ASSERT_EQ(assumed.status, 200U) << assumed.body;
  const auto credentials =
      sigv4::Credentials::of(between(assumed.body, "AccessKeyId"), between(assumed.body, "SecretAccessKey"),
                             between(assumed.body, "SessionToken"));
  EXPECT_THAT(call("Action=GetCallerIdentity&Version=2011-06-15", credentials).body,
              HasSubstr("assumed-role/casemate-parent/test"));
  const std::string again =
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fcasemate-parent&"
      "RoleSessionName=again";
  EXPECT_EQ(call(again, credentials).status, 403U);
  EXPECT_THAT(call("Action=AssumeRole&Version=2011-06-15&RoleArn=nope&RoleSessionName=test").body,
              HasSubstr("nope is invalid"));
  EXPECT_THAT(call("Action=Nope&Version=2011-06-15").body, HasSubstr("InvalidAction"));
  for (const json::Object& event : events_)
    EXPECT_THAT(json::encode(event),
                testing::Not(HasSubstr(std::string(as_text(credentials.secret_access_key.expose())))));
}

TEST_F(Sts, KnowsWhoExists) {
  const auto exists = [&](const char* text) { return directory_.exists({iam::PrincipalKind::kAws, text}); };
  EXPECT_TRUE(exists("111122223333"));
  EXPECT_TRUE(exists("arn:aws:iam::111122223333:root"));
  EXPECT_TRUE(exists("arn:aws:iam::111122223333:user/admin"));
  EXPECT_TRUE(exists("arn:aws:sts::111122223333:assumed-role/casemate-parent/i-0"));
  EXPECT_TRUE(exists("arn:aws:iam::999922223333:user/anyone"));
  EXPECT_FALSE(exists("arn:aws:iam::111122223333:user/nobody"));
  EXPECT_FALSE(exists("arn:aws:sts::111122223333:assumed-role/none/i-0"));
  EXPECT_FALSE(exists("arn:aws-cn:iam::111122223333:root"));
}

TEST(TokenSealer, OpensOnlyWhatItSealed) {
  crypto::SystemRng rng;
  const TokenSealer sealer(Secret::copy_of(Bytes(32, 5)));
  Session session;
  session.access_key_id = "ASIA";
  session.secret_access_key = Secret::copy_of(as_bytes("s"));
  const std::string token = sealer.seal(session, rng);
  EXPECT_THAT(sealer.open(token), IsOk());
  EXPECT_THAT(TokenSealer(Secret::copy_of(Bytes(32, 6))).open(token), IsError(ErrorCode::kUntrusted));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string damaged = token;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    EXPECT_THAT(sealer.open(damaged), IsError(ErrorCode::kUntrusted)) << i;
  }
}

}  // namespace
}  // namespace casemate::sts
