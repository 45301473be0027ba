// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "iam/evaluate.h"
#include "query/query.h"
#include "sigv4/canonical.h"
#include "sts/service.h"

namespace casemate::sts {
namespace {

using identity::Entity;
using identity::Kind;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAccount = "111122223333";
constexpr std::string_view kOther = "444455556666";
const WallTime kNow{std::chrono::seconds{1'800'000'000}};

identity::Document document(std::string_view statements, iam::PolicyType type) {
  const std::string text = fmt::format(R"({{"Version":"2012-10-17","Statement":[{}]}})", statements);
  auto parsed = iam::parse_policy(text, type);
  EXPECT_THAT(parsed, IsOk()) << text;
  return {text, parsed.take()};
}

class Sts : public testing::Test {
 protected:
  Sts() : directory_(identity::TokenSealer(Secret::copy_of(Bytes(32, 5))), world(), [](const auto&) { return Result<void>(); }) {
    add_user(kAccount, "admin", "AKIDADMIN", R"({"Effect":"Allow","Action":"*","Resource":"*"})");
    add_user(kAccount, "plain", "AKIDPLAIN", "");
    add_user(kOther, "guest", "AKIDGUEST", R"({"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"})");
    add_role("casemate-parent", R"({"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com","AWS":"111122223333"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]})");
    add_role("partner", R"({"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"secret-42"}}})");
    add_role("second", R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/casemate-parent"},"Action":["sts:AssumeRole","sts:TagSession"]})");
    add_role("plain-only", R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/plain"},"Action":"sts:AssumeRole"})");
  }

  static identity::State world() {
    identity::State state;
    state.accounts = {{std::string(kAccount), ""}, {std::string(kOther), ""}};
    return state;
  }
  void put(Entity entity) {
    EXPECT_THAT(directory_.change([&](identity::State& state) {
      state.put(std::move(entity));
      return true;
    }),
                IsOk());
  }
  void add_user(std::string_view account, std::string_view name, std::string_view key, std::string_view statement) {
    Entity user;
    user.account = account;
    user.name = name;
    user.id = identity::make_unique_id("AIDA", name);
    if (!statement.empty()) user.inline_policies["p"] = document(statement, iam::PolicyType::kIdentity);
    identity::AccessKey access;
    access.id = key;
    access.secret = std::make_shared<const Secret>(Secret::copy_of(as_bytes("secret")));
    user.keys[access.id] = access;
    put(std::move(user));
  }
  void add_role(std::string_view name, std::string_view trust) {
    Entity role;
    role.kind = Kind::kRole;
    role.account = kAccount;
    role.name = name;
    role.id = identity::make_unique_id("AROA", name);
    role.trust = document(trust, iam::PolicyType::kTrust);
    role.inline_policies["all"] = document(R"({"Effect":"Allow","Action":"*","Resource":"*"})", iam::PolicyType::kIdentity);
    put(std::move(role));
  }

  http::Response call(const std::string& action, const std::vector<std::pair<std::string, std::string>>& parameters,
                      const sigv4::Credentials& credentials) {
    http::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers.add("Host", "sts.us-east-1.amazonaws.com");
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = "Action=" + action + "&Version=2011-06-15";
    for (const auto& [name, value] : parameters) request.body += "&" + name + "=" + sigv4::uri_encode(value);
    EXPECT_THAT(sigv4::sign(request, credentials, "us-east-1", "sts", clock_.now()), IsOk());
    return service_.handle(request);
  }
  static sigv4::Credentials key(std::string_view id) { return sigv4::Credentials::of(id, "secret"); }
  static std::string role_arn(std::string_view name) { return fmt::format("arn:aws:iam::{}:role/{}", kAccount, name); }
  http::Response assume(std::string_view role, const sigv4::Credentials& who,
                        std::vector<std::pair<std::string, std::string>> more = {}) {
    more.emplace_back("RoleArn", role_arn(role));
    more.emplace_back("RoleSessionName", "test");
    return call("AssumeRole", more, who);
  }
  sigv4::Credentials credentials_of(const http::Response& response) {
    EXPECT_EQ(response.status, 200U) << response.body;
    return sigv4::Credentials::of(between(response.body, "AccessKeyId"), between(response.body, "SecretAccessKey"),
                                  between(response.body, "SessionToken"));
  }
  static std::string between(const std::string& text, const std::string& name) {
    const std::size_t open = text.find("<" + name + ">");
    if (open == std::string::npos) return "";
    const std::size_t from = open + name.size() + 2;
    return text.substr(from, text.find("</" + name + ">") - from);
  }
  iam::CallerPtr caller_of(const sigv4::Credentials& who) {
    auto found = directory_.find(who.access_key_id, who.session_token, clock_.now());
    EXPECT_EQ(found.found, sigv4::Found::kCredential);
    return found.identity;
  }
  std::string who(const sigv4::Credentials& credentials) {
    return between(call("GetCallerIdentity", {}, credentials).body, "Arn");
  }

  crypto::SystemRng rng_;
  FixedClock clock_{kNow};
  identity::Directory directory_;
  std::vector<json::Object> events_;
  Service service_{directory_,
                   [this](const json::Object& event) {
                     events_.push_back(event);
                     return Result<void>();
                   },
                   clock_,
                   rng_,
                   Log{},
                   {{"us-east-1"},
                    std::chrono::seconds{300},
                    [this](std::string_view id) -> Result<json::Value> {
                      for (const json::Object& event : events_) {
                        const json::Value value(event);
                        if (*value.string_at("requestID") == id) return value;
                      }
                      return not_found("no such event");
                    }}};
};

TEST_F(Sts, NamesTheCaller) {
  const http::Response admin = call("GetCallerIdentity", {}, key("AKIDADMIN"));
  EXPECT_EQ(admin.status, 200U);
  EXPECT_EQ(between(admin.body, "Arn"), "arn:aws:iam::111122223333:user/admin");
  EXPECT_EQ(between(admin.body, "Account"), kAccount);
  // It needs no permission.
  EXPECT_EQ(who(key("AKIDPLAIN")), "arn:aws:iam::111122223333:user/plain");
  EXPECT_EQ(events_.size(), 2U);
}

TEST_F(Sts, GivesSessionsOfRolesToThoseThatMayHaveThem) {
  const http::Response assumed = assume("casemate-parent", key("AKIDADMIN"));
  const auto credentials = credentials_of(assumed);
  EXPECT_THAT(credentials.access_key_id, testing::MatchesRegex("ASIA[A-Z2-7]{16}"));
  EXPECT_EQ(who(credentials), "arn:aws:sts::111122223333:assumed-role/casemate-parent/test");
  EXPECT_THAT(assumed.body, Not(HasSubstr("PackedPolicySize")));
  // The trust policy leaves it to the account, and this user's policies say nothing.
  EXPECT_EQ(assume("casemate-parent", key("AKIDPLAIN")).status, 403U);
  // Named itself, a user needs no policy of its own; others do not get in by theirs.
  EXPECT_EQ(assume("plain-only", key("AKIDPLAIN")).status, 200U);
  EXPECT_EQ(assume("plain-only", key("AKIDADMIN")).status, 403U);
  EXPECT_EQ(between(assume("none", key("AKIDADMIN")).body, "Message"),
            "User: arn:aws:iam::111122223333:user/admin is not authorized to perform: sts:AssumeRole on resource: "
            "arn:aws:iam::111122223333:role/none");
  for (const json::Object& event : events_)
    EXPECT_THAT(json::encode(event), Not(HasSubstr(std::string(as_text(credentials.secret_access_key.expose())))));
}

TEST_F(Sts, AsksForTheExternalId) {
  EXPECT_EQ(assume("partner", key("AKIDGUEST")).status, 403U);
  EXPECT_EQ(assume("partner", key("AKIDGUEST"), {{"ExternalId", "secret-41"}}).status, 403U);
  EXPECT_EQ(assume("partner", key("AKIDGUEST"), {{"ExternalId", "secret-42"}}).status, 200U);
  EXPECT_EQ(assume("partner", key("AKIDGUEST"), {{"ExternalId", "x"}}).status, 400U);
}

TEST_F(Sts, NarrowsSessionsByPolicies) {
  const auto narrowed = credentials_of(
      assume("casemate-parent", key("AKIDADMIN"),
             {{"Policy", R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:List*","Resource":"*"}]})"},
              {"PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"}}));
  EXPECT_EQ(caller_of(narrowed)->session_policies.size(), 2U);
  EXPECT_THAT(assume("casemate-parent", key("AKIDADMIN"), {{"Policy", "{}"}}).body, HasSubstr("MalformedPolicyDocument"));
  EXPECT_EQ(assume("casemate-parent", key("AKIDADMIN"), {{"PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/None"}}).status,
            400U);
  EXPECT_EQ(assume("casemate-parent", key("AKIDADMIN"), {{"Policy", std::string(2049, ' ')}}).status, 400U);
}

TEST_F(Sts, LimitsDurations) {
  const auto expiration = [&](const char* seconds) {
    return between(assume("casemate-parent", key("AKIDADMIN"), {{"DurationSeconds", seconds}}).body, "Expiration");
  };
  EXPECT_EQ(expiration("900"), query::time_text(kNow + std::chrono::seconds{900}));
  EXPECT_EQ(expiration("899"), "");
  EXPECT_EQ(expiration("43201"), "");
  EXPECT_EQ(expiration("15m"), "");
  EXPECT_THAT(assume("casemate-parent", key("AKIDADMIN"), {{"DurationSeconds", "3601"}}).body,
              HasSubstr("exceeds the MaxSessionDuration set for this role"));
}

TEST_F(Sts, ChainsRolesForAnHourAtMost) {
  const auto first = credentials_of(
      assume("casemate-parent", key("AKIDADMIN"),
             {{"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "blue"}, {"Tags.member.2.Key", "mood"},
              {"Tags.member.2.Value", "good"}, {"TransitiveTagKeys.member.1", "team"}, {"SourceIdentity", "alice"}}));
  EXPECT_EQ(caller_of(first)->principal.tags.size(), 2U);
  EXPECT_EQ(caller_of(first)->source_identity, "alice");
  EXPECT_THAT(assume("second", first, {{"DurationSeconds", "3601"}}).body, HasSubstr("role chaining"));
  const auto second = credentials_of(assume("second", first));
  const auto caller = caller_of(second);
  EXPECT_THAT(caller->principal.tags, testing::ElementsAre(testing::Pair("team", "blue")));
  EXPECT_EQ(caller->source_identity, "alice");
  EXPECT_THAT(assume("second", first, {{"Tags.member.1.Key", "Team"}, {"Tags.member.1.Value", "red"}}).body,
              HasSubstr("transitive tag key"));
  EXPECT_EQ(assume("second", key("AKIDADMIN")).status, 403U);
}

TEST_F(Sts, ForgetsSessionsOfARoleMadeAnew) {
  const auto credentials = credentials_of(assume("casemate-parent", key("AKIDADMIN")));
  Entity anew = *directory_.state()->find_role(role_arn("casemate-parent"));
  anew.id = "AROANEW";
  put(std::move(anew));
  EXPECT_THAT(call("GetCallerIdentity", {}, credentials).body, HasSubstr("InvalidClientTokenId"));
}

TEST_F(Sts, RefusesExpiredForeignAndMixedTokens) {
  const auto good = credentials_of(assume("casemate-parent", key("AKIDADMIN")));
  const std::string secret(as_text(good.secret_access_key.expose()));
  EXPECT_THAT(who(good), HasSubstr("assumed-role"));
  clock_.advance(std::chrono::hours{1});
  EXPECT_THAT(call("GetCallerIdentity", {}, good).body, HasSubstr("<Code>ExpiredToken</Code>"));
  clock_.set(kNow);
  for (const auto& bad : {sigv4::Credentials::of(good.access_key_id, secret, "bm90IG91cnM="),
                          sigv4::Credentials::of("AKIDADMIN", "secret", good.session_token),
                          sigv4::Credentials::of(good.access_key_id, secret)}) {
    EXPECT_THAT(call("GetCallerIdentity", {}, bad).body, HasSubstr("InvalidClientTokenId"));
  }
  EXPECT_EQ(call("GetCallerIdentity", {}, sigv4::Credentials::of("AKIDADMIN", "wrong")).status, 403U);
}

TEST_F(Sts, GivesUsersTemporaryCredentials) {
  const auto session = credentials_of(call("GetSessionToken", {{"DurationSeconds", "900"}}, key("AKIDPLAIN")));
  EXPECT_EQ(who(session), "arn:aws:iam::111122223333:user/plain");
  EXPECT_TRUE(caller_of(session)->token_issue_time.has_value());
  EXPECT_THAT(call("GetSessionToken", {}, session).body, HasSubstr("AccessDenied"));
  EXPECT_EQ(call("GetSessionToken", {{"DurationSeconds", "129601"}}, key("AKIDPLAIN")).status, 400U);
  EXPECT_EQ(call("GetSessionToken", {{"SerialNumber", "x"}, {"TokenCode", "123456"}}, key("AKIDPLAIN")).status, 403U);
}

TEST_F(Sts, TellsTheAccountOfAKey) {
  const std::string id = identity::make_access_key_id("AKIA", kOther, rng_);
  EXPECT_EQ(between(call("GetAccessKeyInfo", {{"AccessKeyId", id}}, key("AKIDADMIN")).body, "Account"), kOther);
  EXPECT_EQ(between(call("GetAccessKeyInfo", {{"AccessKeyId", "AKIDGUEST"}}, key("AKIDADMIN")).body, "Account"), kOther);
  EXPECT_EQ(call("GetAccessKeyInfo", {{"AccessKeyId", "nope"}}, key("AKIDADMIN")).status, 400U);
  EXPECT_EQ(call("GetAccessKeyInfo", {{"AccessKeyId", id}}, key("AKIDPLAIN")).status, 403U);
}

TEST_F(Sts, DecodesDenialsForThoseWhoMayRead) {
  const http::Response refused = assume("casemate-parent", key("AKIDPLAIN"));
  const std::string id = *refused.headers.find("x-amzn-RequestId");
  EXPECT_THAT(refused.body, Not(HasSubstr("decision")));
  const std::string decoded =
      between(call("DecodeAuthorizationMessage", {{"EncodedMessage", id}}, key("AKIDADMIN")).body, "DecodedMessage");
  EXPECT_THAT(decoded, AllOf(HasSubstr("ImplicitlyDenied"), HasSubstr("explanation")));
  EXPECT_THAT(call("DecodeAuthorizationMessage", {{"EncodedMessage", id}}, key("AKIDPLAIN")).body,
              HasSubstr("not authorized to perform: sts:DecodeAuthorizationMessage"));
  EXPECT_EQ(call("DecodeAuthorizationMessage", {{"EncodedMessage", "x"}}, key("AKIDADMIN")).status, 400U);
  // Another account's denials are none of this one's business, whatever its permissions.
  const std::string foreign =
      *call("DecodeAuthorizationMessage", {{"EncodedMessage", id}}, key("AKIDGUEST")).headers.find("x-amzn-RequestId");
  EXPECT_THAT(call("DecodeAuthorizationMessage", {{"EncodedMessage", foreign}}, key("AKIDADMIN")).body,
              HasSubstr("InvalidAuthorizationMessageException"));
}

TEST_F(Sts, FederatedUsersHaveWhatTheUserHandsOver) {
  const std::string allow_keys = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}})";
  const http::Response made = call("GetFederationToken", {{"Name", "bob"}, {"Policy", allow_keys}, {"DurationSeconds", "900"}}, key("AKIDADMIN"));
  const sigv4::Credentials bob = credentials_of(made);
  EXPECT_EQ(between(made.body, "FederatedUserId"), "111122223333:bob");
  EXPECT_NE(between(made.body, "PackedPolicySize"), "");
  EXPECT_EQ(who(bob), "arn:aws:sts::111122223333:federated-user/bob");
  const auto may = [&](const sigv4::Credentials& credentials, std::string_view action) {
    const iam::CallerPtr caller = caller_of(credentials);
    const iam::RequestContext context;
    iam::AuthorizationRequest wanted{*caller, action, "*", kAccount, context};
    wanted.authority = iam::Authority::kIdentityOnly;
    return iam::decide(wanted).allowed();
  };
  EXPECT_TRUE(may(bob, "kms:CreateKey"));
  EXPECT_FALSE(may(bob, "sts:GetAccessKeyInfo"));
  EXPECT_FALSE(may(credentials_of(call("GetFederationToken", {{"Name", "eve"}}, key("AKIDADMIN"))), "kms:CreateKey"));
  EXPECT_THAT(call("GetFederationToken", {{"Name", "eve"}}, bob).body, HasSubstr("AccessDenied"));
  EXPECT_THAT(call("GetFederationToken", {{"Name", "bob"}}, key("AKIDPLAIN")).body,
              HasSubstr("sts:GetFederationToken on resource: arn:aws:sts::111122223333:federated-user/bob"));
  EXPECT_THAT(call("GetFederationToken", {{"Name", "b"}}, key("AKIDADMIN")).body, HasSubstr("ValidationError"));
  clock_.set(kNow + std::chrono::minutes{15});
  EXPECT_EQ(directory_.find(bob.access_key_id, bob.session_token, clock_.now()).found, sigv4::Found::kExpiredToken);
}

TEST_F(Sts, SaysThatItTrustsNoIdentityProvider) {
  http::Request request;
  request.method = "POST";
  request.target = "/";
  for (const char* action : {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}) {
    request.body = fmt::format("Action={}&Version=2011-06-15&WebIdentityToken=x", action);
    const http::Response response = service_.handle(request);
    EXPECT_EQ(response.status, 400U);
    EXPECT_THAT(response.body, AllOf(HasSubstr("UnsupportedOperation"), HasSubstr("no identity provider")));
  }
  EXPECT_THAT(call("GetWebIdentityToken", {}, key("AKIDADMIN")).body, HasSubstr("UnsupportedOperation"));
  EXPECT_THAT(call("AssumeRole", {{"RoleArn", role_arn("casemate-parent")}, {"RoleSessionName", "test"}, {"SerialNumber", "arn:aws:iam::111122223333:mfa/x"}, {"TokenCode", "123456"}}, key("AKIDADMIN")).body,
              HasSubstr("MultiFactorAuthentication failed"));
}

TEST_F(Sts, NamesWhatItDoesNotHave) {
  EXPECT_THAT(call("Nope", {}, key("AKIDADMIN")).body, HasSubstr("InvalidAction"));
  EXPECT_THAT(call("AssumeRole", {{"RoleArn", "nope"}, {"RoleSessionName", "test"}}, key("AKIDADMIN")).body,
              HasSubstr("nope is invalid"));
}

}  // namespace
}  // namespace casemate::sts
