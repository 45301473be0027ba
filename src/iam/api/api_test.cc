// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "iam/api/service.h"
#include "identity/state_json.h"
#include "sigv4/canonical.h"

namespace casemate::iam::api {
namespace {

using identity::Kind;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAccount = "111122223333";
const WallTime kNow{std::chrono::seconds{1'800'000'000}};
const std::string kAllowAll = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})";
const std::string kTrust =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}})";

using Parameters = std::vector<std::pair<std::string, std::string>>;

class Iam : public testing::Test {
 protected:
  static identity::State world(const identity::TokenSealer& sealer, Rng& rng) {
    identity::State state;
    identity::Founder founder(state, sealer, kNow, rng);
    founder.found_account(kAccount);
    founder.add_key(kAccount, "admin", "AKIAADMIN", Secret::copy_of(as_bytes("secret")));
    founder.found_account("444455556666");
    founder.add_key("444455556666", "admin", "AKIAOTHER", Secret::copy_of(as_bytes("secret")));
    return state;
  }

  http::Response raw(const std::string& body, const sigv4::Credentials& who) {
    http::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers.add("Host", "iam.amazonaws.com");
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = body;
    EXPECT_THAT(sigv4::sign(request, who, "us-east-1", "iam", clock_.now()), IsOk());
    return service_.handle(request);
  }
  http::Response call(const std::string& action, const Parameters& parameters, const sigv4::Credentials& who) {
    std::string body = "Action=" + action + "&Version=2010-05-08";
    for (const auto& [name, value] : parameters) body += "&" + name + "=" + sigv4::uri_encode(value);
    return raw(body, who);
  }
  http::Response call(const std::string& action, const Parameters& parameters = {}) {
    return call(action, parameters, sigv4::Credentials::of("AKIAADMIN", "secret"));
  }
  // ok calls as the administrator and gives the answer's text.
  std::string ok(const std::string& action, const Parameters& parameters = {}) {
    http::Response response = call(action, parameters);
    EXPECT_EQ(response.status, 200U) << action << " " << response.body;
    return response.body;
  }
  void fails(unsigned status, const std::string& code, const std::string& action, const Parameters& parameters) {
    const http::Response response = call(action, parameters);
    EXPECT_EQ(response.status, status) << action << " " << response.body;
    EXPECT_EQ(between(response.body, "Code"), code) << action << " " << response.body;
  }
  static std::string between(const std::string& text, const std::string& name) {
    const std::size_t open = text.find("<" + name + ">");
    if (open == std::string::npos) return "";
    const std::size_t from = open + name.size() + 2;
    return text.substr(from, text.find("</" + name + ">") - from);
  }
  // key_of creates a user with an inline policy and gives its key.
  sigv4::Credentials key_of(const std::string& user, const std::string& policy = "") {
    ok("CreateUser", {{"UserName", user}});
    if (!policy.empty()) ok("PutUserPolicy", {{"UserName", user}, {"PolicyName", "own"}, {"PolicyDocument", policy}});
    const std::string made = ok("CreateAccessKey", {{"UserName", user}});
    return sigv4::Credentials::of(between(made, "AccessKeyId"), between(made, "SecretAccessKey"));
  }
  CallerPtr caller_of(const sigv4::Credentials& who) {
    return directory_.find(who.access_key_id, std::nullopt, clock_.now()).identity;
  }

  crypto::SystemRng rng_;
  FixedClock clock_{kNow};
  identity::TokenSealer sealer_{Secret::copy_of(Bytes(32, 5))};
  int saves_ = 0;
  identity::Directory directory_{identity::TokenSealer(Secret::copy_of(Bytes(32, 5))), world(sealer_, rng_),
                                 [this](const identity::State& state) {
                                   ++saves_;
                                   return Result<void>(identity::parse_state(identity::encode_state(state), &sealer_).ok()
                                                           ? Result<void>()
                                                           : Result<void>(internal("does not read back")));
                                 }};
  std::vector<json::Object> events_;
  std::vector<std::string> removals_;
  bool removals_fail_ = false;
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
                    [this](std::string_view key) -> Result<json::Value> {
                      for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
                        if (*event->find("userIdentity")->string_at("accessKeyId") == key) return json::Value(*event);
                      }
                      return not_found("not used");
                    },
                    [this](std::string_view arn, std::string_view unique_id) -> Result<void> {
                      if (removals_fail_) return internal("disk");
                      removals_.push_back(fmt::format("{} {}", arn, unique_id));
                      return {};
                    }}};
};

TEST_F(Iam, CreatesUsersWhoseKeysWork) {
  const std::string made = ok("CreateUser", {{"UserName", "alice"}, {"Path", "/eng/"}, {"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "blue"}});
  EXPECT_EQ(between(made, "Arn"), "arn:aws:iam::111122223333:user/eng/alice");
  EXPECT_THAT(between(made, "UserId"), testing::MatchesRegex("AIDA[A-Z2-7]{17}"));
  fails(409, "EntityAlreadyExists", "CreateUser", {{"UserName", "ALICE"}});
  const std::string key = ok("CreateAccessKey", {{"UserName", "alice"}});
  const auto alice = sigv4::Credentials::of(between(key, "AccessKeyId"), between(key, "SecretAccessKey"));
  EXPECT_EQ(caller_of(alice)->principal.arn, "arn:aws:iam::111122223333:user/eng/alice");
  EXPECT_THAT(caller_of(alice)->principal.tags, testing::ElementsAre(testing::Pair("team", "blue")));
  ok("CreateAccessKey", {{"UserName", "alice"}});
  fails(409, "LimitExceeded", "CreateAccessKey", {{"UserName", "alice"}});
  EXPECT_THAT(ok("ListAccessKeys", {{"UserName", "alice"}}), Not(HasSubstr("SecretAccessKey")));

  EXPECT_EQ(call("GetUser", {}, alice).status, 403U);
  ok("UpdateAccessKey", {{"UserName", "alice"}, {"AccessKeyId", alice.access_key_id}, {"Status", "Inactive"}});
  EXPECT_THAT(call("GetUser", {}, alice).body, HasSubstr("InvalidClientTokenId"));
  ok("UpdateAccessKey", {{"UserName", "alice"}, {"AccessKeyId", alice.access_key_id}, {"Status", "Active"}});
  EXPECT_EQ(caller_of(alice)->principal.name, "alice");
  ok("DeleteAccessKey", {{"UserName", "alice"}, {"AccessKeyId", alice.access_key_id}});
  EXPECT_EQ(caller_of(alice), nullptr);
  fails(404, "NoSuchEntity", "DeleteAccessKey", {{"UserName", "alice"}, {"AccessKeyId", alice.access_key_id}});
  const std::string secret(as_text(alice.secret_access_key.expose()));
  for (const json::Object& event : events_) EXPECT_THAT(json::encode(event), Not(HasSubstr(secret)));
}

TEST_F(Iam, GivesASuccessorNothingOfWhatNamedTheOneBefore) {
  const auto id_of = [&](const std::string& user) { return between(ok("GetUser", {{"UserName", user}}), "UserId"); };
  const auto trust_of = [&](const std::string& role) {
    return directory_.state()->find(kAccount, Kind::kRole, role)->trust.text;
  };
  ok("CreateUser", {{"UserName", "bob"}});
  const std::string first = id_of("bob");
  ok("CreateRole", {{"RoleName", "for-bob"},
                    {"AssumeRolePolicyDocument",
                     R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"sts:AssumeRole"}})"}});
  removals_fail_ = true;
  fails(500, "ServiceFailure", "DeleteUser", {{"UserName", "bob"}});
  EXPECT_EQ(id_of("bob"), first);
  removals_fail_ = false;
  ok("DeleteUser", {{"UserName", "bob"}});
  EXPECT_EQ(removals_.back(), "arn:aws:iam::111122223333:user/bob " + first);
  EXPECT_THAT(trust_of("for-bob"), AllOf(HasSubstr(first), Not(HasSubstr("user/bob"))));
  ok("CreateUser", {{"UserName", "bob"}});
  EXPECT_NE(id_of("bob"), first);
  EXPECT_THAT(trust_of("for-bob"), HasSubstr(first));
}

TEST_F(Iam, TellsTheLastUseOfAKey) {
  const auto alice = key_of("alice");
  std::string told = ok("GetAccessKeyLastUsed", {{"AccessKeyId", alice.access_key_id}});
  EXPECT_EQ(between(told, "UserName"), "alice");
  EXPECT_EQ(between(told, "ServiceName"), "N/A");
  EXPECT_EQ(between(told, "Region"), "N/A");
  EXPECT_THAT(told, Not(HasSubstr("LastUsedDate")));
  call("GetUser", {}, alice);
  told = ok("GetAccessKeyLastUsed", {{"AccessKeyId", alice.access_key_id}});
  EXPECT_EQ(between(told, "LastUsedDate"), "2027-01-15T08:00:00Z");
  EXPECT_EQ(between(told, "ServiceName"), "iam");
  EXPECT_EQ(between(told, "Region"), "us-east-1");
  fails(403, "AccessDenied", "GetAccessKeyLastUsed", {{"AccessKeyId", "AKIAOTHER"}});
}

TEST_F(Iam, AllowsWhatPoliciesAllow) {
  const auto reader = key_of(
      "reader", R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:Get*","Resource":"arn:aws:iam::*:user/${aws:username}"}})");
  EXPECT_EQ(call("GetUser", {}, reader).status, 200U);
  const http::Response refused = call("GetUser", {{"UserName", "admin"}}, reader);
  EXPECT_EQ(between(refused.body, "Message"),
            "User: arn:aws:iam::111122223333:user/reader is not authorized to perform: iam:GetUser on resource: "
            "arn:aws:iam::111122223333:user/admin because no identity-based policy allows the iam:GetUser action");
  EXPECT_THAT(json::encode(events_.back()), HasSubstr("\"cause\":"));
  // Whether a user exists is nobody's business without permission.
  EXPECT_EQ(call("GetUser", {{"UserName", "nobody"}}, reader).status, 403U);
  fails(404, "NoSuchEntity", "GetUser", {{"UserName", "nobody"}});
}

TEST_F(Iam, GroupsBoundariesAndAttachmentsCount) {
  const auto user = key_of("user");
  const auto allowed = [&] { return call("ListUsers", {}, user).status == 200U; };
  EXPECT_FALSE(allowed());
  ok("CreateGroup", {{"GroupName", "readers"}});
  ok("AttachGroupPolicy", {{"GroupName", "readers"}, {"PolicyArn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}});
  ok("AddUserToGroup", {{"GroupName", "readers"}, {"UserName", "user"}});
  EXPECT_TRUE(allowed());
  ok("UpdateGroup", {{"GroupName", "readers"}, {"NewGroupName", "lookers"}});
  EXPECT_TRUE(allowed());
  EXPECT_THAT(ok("ListGroupsForUser", {{"UserName", "user"}}), HasSubstr("lookers"));
  EXPECT_THAT(ok("GetGroup", {{"GroupName", "lookers"}}), HasSubstr("<UserName>user</UserName>"));
  ok("PutUserPermissionsBoundary",
     {{"UserName", "user"}, {"PermissionsBoundary", "arn:aws:iam::aws:policy/AWSKeyManagementServicePowerUser"}});
  EXPECT_TRUE(allowed());  // that policy lists iam:ListUsers
  EXPECT_THAT(call("GetUser", {}, user).body, HasSubstr("no permissions boundary allows"));
  ok("DeleteUserPermissionsBoundary", {{"UserName", "user"}});
  EXPECT_EQ(call("GetUser", {}, user).status, 200U);
  fails(409, "DeleteConflict", "DeleteGroup", {{"GroupName", "lookers"}});
  ok("RemoveUserFromGroup", {{"GroupName", "lookers"}, {"UserName", "user"}});
  EXPECT_FALSE(allowed());
  ok("DetachGroupPolicy", {{"GroupName", "lookers"}, {"PolicyArn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}});
  ok("DeleteGroup", {{"GroupName", "lookers"}});
}

TEST_F(Iam, KeepsManagedPoliciesAndTheirVersions) {
  const std::string arn = "arn:aws:iam::111122223333:policy/p";
  EXPECT_EQ(between(ok("CreatePolicy", {{"PolicyName", "p"}, {"PolicyDocument", kAllowAll}}), "Arn"), arn);
  fails(409, "EntityAlreadyExists", "CreatePolicy", {{"PolicyName", "P"}, {"PolicyDocument", kAllowAll}});
  fails(400, "MalformedPolicyDocument", "CreatePolicy", {{"PolicyName", "q"}, {"PolicyDocument", "{}"}});
  const std::string list_keys = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}})";
  for (int i = 0; i < 4; ++i) ok("CreatePolicyVersion", {{"PolicyArn", arn}, {"PolicyDocument", list_keys}});
  fails(409, "LimitExceeded", "CreatePolicyVersion", {{"PolicyArn", arn}, {"PolicyDocument", list_keys}});
  const auto user = key_of("user");
  ok("AttachUserPolicy", {{"UserName", "user"}, {"PolicyArn", arn}});
  EXPECT_EQ(between(ok("GetPolicy", {{"PolicyArn", arn}}), "AttachmentCount"), "1");
  EXPECT_THAT(ok("ListEntitiesForPolicy", {{"PolicyArn", arn}}), HasSubstr("<UserName>user</UserName>"));
  EXPECT_EQ(call("ListRoles", {}, user).status, 200U);
  ok("SetDefaultPolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v2"}});
  EXPECT_EQ(call("ListRoles", {}, user).status, 403U);
  EXPECT_EQ(call("ListUsers", {}, user).status, 200U);
  fails(409, "DeleteConflict", "DeletePolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v2"}});
  ok("DeletePolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v1"}});
  fails(404, "NoSuchEntity", "GetPolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v1"}});
  EXPECT_EQ(*sigv4::uri_decode(between(ok("GetPolicyVersion", {{"PolicyArn", arn}, {"VersionId", "v2"}}), "Document")), list_keys);
  fails(409, "DeleteConflict", "DeletePolicy", {{"PolicyArn", arn}});
  ok("DetachUserPolicy", {{"UserName", "user"}, {"PolicyArn", arn}});
  for (const char* version : {"v3", "v4", "v5"}) ok("DeletePolicyVersion", {{"PolicyArn", arn}, {"VersionId", version}});
  ok("DeletePolicy", {{"PolicyArn", arn}});
  fails(404, "NoSuchEntity", "GetPolicy", {{"PolicyArn", arn}});
  fails(403, "AccessDenied", "DeletePolicy", {{"PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess"}});
}

TEST_F(Iam, KeepsRolesAndInstanceProfiles) {
  const std::string made = ok("CreateRole", {{"RoleName", "app"}, {"AssumeRolePolicyDocument", kTrust}, {"Description", "d <>"}});
  EXPECT_EQ(*sigv4::uri_decode(between(made, "AssumeRolePolicyDocument")), kTrust);
  EXPECT_THAT(made, HasSubstr("d &lt;&gt;"));
  fails(400, "MalformedPolicyDocument", "CreateRole",
        {{"RoleName", "bad"},
         {"AssumeRolePolicyDocument",
          R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/nobody"},"Action":"sts:AssumeRole"}})"}});
  fails(400, "ValidationError", "UpdateRole", {{"RoleName", "app"}, {"MaxSessionDuration", "60"}});
  ok("UpdateRole", {{"RoleName", "app"}, {"MaxSessionDuration", "7200"}});
  EXPECT_EQ(between(ok("GetRole", {{"RoleName", "app"}}), "MaxSessionDuration"), "7200");
  ok("PutRolePolicy", {{"RoleName", "app"}, {"PolicyName", "x"}, {"PolicyDocument", kAllowAll}});
  EXPECT_THAT(ok("ListRolePolicies", {{"RoleName", "app"}}), HasSubstr("<member>x</member>"));
  ok("CreateInstanceProfile", {{"InstanceProfileName", "app"}});
  ok("AddRoleToInstanceProfile", {{"InstanceProfileName", "app"}, {"RoleName", "app"}});
  EXPECT_THAT(ok("ListInstanceProfilesForRole", {{"RoleName", "app"}}), HasSubstr("instance-profile/app"));
  fails(409, "DeleteConflict", "DeleteInstanceProfile", {{"InstanceProfileName", "app"}});
  fails(409, "DeleteConflict", "DeleteRole", {{"RoleName", "app"}});
  ok("DeleteRolePolicy", {{"RoleName", "app"}, {"PolicyName", "x"}});
  ok("RemoveRoleFromInstanceProfile", {{"InstanceProfileName", "app"}, {"RoleName", "app"}});
  ok("DeleteInstanceProfile", {{"InstanceProfileName", "app"}});
  ok("DeleteRole", {{"RoleName", "app"}});
  fails(404, "NoSuchEntity", "GetRole", {{"RoleName", "app"}});
}

TEST_F(Iam, GivesListsInPages) {
  for (int i = 0; i < 7; ++i) ok("CreateUser", {{"UserName", fmt::format("u{}", i)}, {"Path", "/x/"}});
  std::vector<std::string> names;
  Parameters parameters{{"MaxItems", "3"}, {"PathPrefix", "/x/"}};
  for (int page = 0; page < 3; ++page) {
    const std::string answer = ok("ListUsers", parameters);
    EXPECT_EQ(between(answer, "IsTruncated"), page < 2 ? "true" : "false");
    for (std::size_t at = 0; (at = answer.find("<UserName>", at)) != std::string::npos; ++at)
      names.push_back(answer.substr(at + 10, 2));
    parameters = {{"MaxItems", "3"}, {"PathPrefix", "/x/"}, {"Marker", between(answer, "Marker")}};
  }
  EXPECT_THAT(names, testing::ElementsAre("u0", "u1", "u2", "u3", "u4", "u5", "u6"));
  fails(400, "ValidationError", "ListUsers", {{"MaxItems", "0"}});
  fails(400, "ValidationError", "ListUsers", {{"Marker", "%"}});
}

TEST_F(Iam, TagsWithoutMindingCase) {
  ok("CreateUser", {{"UserName", "u"}});
  ok("TagUser", {{"UserName", "u"}, {"Tags.member.1.Key", "Team"}, {"Tags.member.1.Value", "red"}});
  ok("TagUser", {{"UserName", "u"}, {"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "blue"}});
  const std::string tags = ok("ListUserTags", {{"UserName", "u"}});
  EXPECT_THAT(tags, AllOf(HasSubstr("blue"), Not(HasSubstr("red"))));
  ok("UntagUser", {{"UserName", "u"}, {"TagKeys.member.1", "TEAM"}});
  EXPECT_THAT(ok("ListUserTags", {{"UserName", "u"}}), Not(HasSubstr("blue")));
  fails(400, "InvalidInput", "TagUser", {{"UserName", "u"}, {"Tags.member.1.Key", "aws:x"}, {"Tags.member.1.Value", ""}});
}

TEST_F(Iam, KeepsAccountsApart) {
  ok("CreateUser", {{"UserName", "alice"}});
  const auto other = sigv4::Credentials::of("AKIAOTHER", "secret");
  EXPECT_EQ(call("GetUser", {{"UserName", "alice"}}, other).status, 404U);
  EXPECT_THAT(call("ListUsers", {}, other).body, Not(HasSubstr("alice")));
  EXPECT_EQ(call("GetPolicy", {{"PolicyArn", "arn:aws:iam::111122223333:policy/p"}}, other).status, 400U);
}

TEST_F(Iam, RenamesUsersWithTheirKeys) {
  const auto key = key_of("old");
  ok("UpdateUser", {{"UserName", "old"}, {"NewUserName", "new"}, {"NewPath", "/p/"}});
  EXPECT_EQ(caller_of(key)->principal.arn, "arn:aws:iam::111122223333:user/p/new");
  fails(409, "EntityAlreadyExists", "UpdateUser", {{"UserName", "new"}, {"NewUserName", "admin"}});
  fails(409, "DeleteConflict", "DeleteUser", {{"UserName", "new"}});
  EXPECT_EQ(caller_of(key)->principal.name, "new");
}

TEST_F(Iam, RefusesWhatCannotBeRead) {
  for (const char* name : {"", "a b", "a/b", "\xFF", "<x>"}) fails(400, "ValidationError", "CreateUser", {{"UserName", name}});
  fails(400, "ValidationError", "CreateUser", {});
  fails(400, "ValidationError", "CreateUser", {{"UserName", std::string(65, 'a')}});
  fails(400, "ValidationError", "CreateUser", {{"UserName", "a"}, {"Path", "x"}});
  fails(400, "InvalidAction", "LaunchRockets", {});
  const auto admin = sigv4::Credentials::of("AKIAADMIN", "secret");
  EXPECT_EQ(between(raw("Action=%ZZ", admin).body, "Code"), "MalformedQueryString");
  EXPECT_EQ(between(raw(std::string(3000, '&'), admin).body, "Code"), "MalformedQueryString");
  const int before = saves_;
  EXPECT_EQ(call("ListUsers").status, 200U);
  EXPECT_EQ(saves_, before);
}

}  // namespace
}  // namespace casemate::iam::api
