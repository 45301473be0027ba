// SPDX-License-Identifier: Apache-2.0
#include "iam/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_matchers.h"
#include "iam/messages.h"
#include "json/value.h"

namespace casemate::iam {
namespace {

using testing::HasSubstr;

PolicyDefect parse_error(std::string_view text, PolicyType type = PolicyType::kResource) {
  auto checked = check_policy(text, type);
  const auto* bad = std::get_if<PolicyDefect>(&checked);
  return bad == nullptr ? PolicyDefect{ErrorCode::kInternal, "accepted", "accepted", "accepted"} : *bad;
}

std::string statement(std::string_view members) {
  return fmt::format(R"({{"Version":"2012-10-17","Statement":[{{{}}}]}})", members);
}

TEST(PolicyParse, ReadsTheDefaultKeyPolicy) {
  const auto policy = parse_policy(default_key_policy("111122223333"), PolicyType::kResource);
  ASSERT_THAT(policy, IsOk());
  ASSERT_EQ((*policy)->statements.size(), 1u);
  const Statement& only = (*policy)->statements.front();
  EXPECT_EQ(only.sid, "Enable IAM User Permissions");
  EXPECT_EQ(only.principals.front().text, "arn:aws:iam::111122223333:root");
  EXPECT_EQ((*policy)->id, "key-default-1");
  EXPECT_EQ((*policy)->version, Version::k2012);
}

TEST(PolicyParse, ReadsSingleValuesAndNumbers) {
  const auto policy = parse_policy(
      R"({"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333","Service":["kms.amazonaws.com"]},
          "NotAction":"kms:List*","NotResource":"arn:aws:kms:*:*:key/*",
          "Condition":{"NumericLessThan":{"kms:ScheduleKeyDeletionPendingWindowInDays":7},"Bool":{"kms:MultiRegion":[true]}}}})",
      PolicyType::kResource);
  ASSERT_THAT(policy, IsOk());
  const Statement& only = (*policy)->statements.front();
  EXPECT_EQ((*policy)->version, Version::k2008);
  EXPECT_EQ(only.principal_sense, Sense::kNotIn);
  EXPECT_EQ(only.principals.size(), 2u);
  EXPECT_EQ(only.conditions[0].values[0].text, "7");
  EXPECT_EQ(only.conditions[1].values[0].text, "true");
}

TEST(PolicyParse, NamesTheElementThatIsWrong) {
  const auto where = [](std::string_view members) { return parse_error(statement(members)).where; };
  EXPECT_EQ(where(R"("Effect":"allow","Principal":"*","Action":"kms:*","Resource":"*")"), "Statement[0].Effect");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"Decrypt","Resource":"*")"), "Statement[0].Action");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":["kms:*",1],"Resource":"*")"), "Statement[0].Action[1]");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"key/1")"), "Statement[0].Resource");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"kms:*","NotAction":"kms:*","Resource":"*")"), "Statement[0]");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Actions":"kms:*")"), "Statement[0]");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringMatches":{"a:b":"c"}})"),
            "Statement[0].Condition.StringMatches");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"a:b":{}}})"),
            "Statement[0].Condition.StringEquals.a:b");
  EXPECT_EQ(where(R"("Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"a:b":"${x"}})"),
            "Statement[0].Condition.StringEquals.a:b");
}

TEST(PolicyParse, GivesAwsTexts) {
  EXPECT_EQ(parse_error(statement(R"("Effect":"Allow","Action":"kms:*","Resource":"*")")).aws_text, kNoPrincipalText);
  EXPECT_EQ(parse_error(statement(R"("Effect":"Allow","Principal":{},"Action":"kms:*","Resource":"*")")).aws_text, kNoPrincipalText);
  for (const char* principal :
       {"arn:aws:iam::111122223333:group/g", "arn:aws:iam::111122223333:user/*", "arn:aws:iam::1:user/a", "alice",
        "arn:aws:sts::111122223333:assumed-role/r", "arn:aws:iam::111122223333:role/", ""}) {
    EXPECT_EQ(parse_error(statement(fmt::format(R"("Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"kms:*","Resource":"*")",
                                            principal)))
                  .aws_text,
              kInvalidPrincipalText)
        << principal;
  }
  EXPECT_EQ(parse_error(statement(R"("Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*")"), PolicyType::kIdentity).aws_text,
            "Policy document should not specify a principal.");
  EXPECT_EQ(parse_error(statement(R"("Effect":"Allow","Action":"kms:*")"), PolicyType::kIdentity).aws_text,
            "Policy statement must contain resources.");
  EXPECT_EQ(parse_error(R"({"Version":"2020-01-01","Statement":[]})").where, "Version");
}

TEST(PolicyParse, RefusesHostileDocuments) {
  EXPECT_EQ(parse_error("").where, "document");
  EXPECT_EQ(parse_error("[]").where, "document");
  EXPECT_EQ(parse_error(R"({"Statement":[]})").where, "Statement");
  EXPECT_THAT(parse_error(R"({"Version":"2012-10-17","Version":"2008-10-17","Statement":[]})").what, HasSubstr("twice"));
  EXPECT_THAT(parse_error(R"({"Statement":[{"Effect":"Deny","Effect":"Allow"}]})").what, HasSubstr("twice"));
  EXPECT_THAT(parse_error(R"({"Statement":"\ud800"})").what, HasSubstr("offset"));
  EXPECT_THAT(parse_error("{\"Statement\":\"\xFF\"}").what, HasSubstr("offset"));
  EXPECT_EQ(parse_error(std::string(33 * 1024, ' ')).code, ErrorCode::kLimit);
  EXPECT_EQ(parse_error("{\"Statement\":" + std::string(100, '[') + std::string(100, ']') + "}").code, ErrorCode::kLimit);
  std::string many = R"({"Statement":[)";
  for (int i = 0; i < 100'000; ++i) many += "{},";
  many += "{}]}";
  EXPECT_EQ(parse_error(many).code, ErrorCode::kLimit);
  PolicyLimits wide;
  wide.bytes = many.size();
  wide.values = 1'000'000;
  auto checked = check_policy(many, PolicyType::kResource, wide);
  ASSERT_TRUE(std::holds_alternative<PolicyDefect>(checked));
  EXPECT_EQ(std::get<PolicyDefect>(checked).code, ErrorCode::kLimit);
}

TEST(PolicyParse, AcceptsAKeyStatementWithoutEffect) {
  EXPECT_THAT(parse_policy(statement(R"("Sid":"a b","Effect":"Allow","Principal":"*")"), PolicyType::kResource), IsOk());
  EXPECT_THAT(parse_policy(statement(R"("Effect":"Allow","Principal":"*","Action":"sts:AssumeRole")"), PolicyType::kTrust), IsOk());
}

TEST(PolicyParse, FindsPrincipalsThatDoNotExist) {
  const auto policy = parse_policy(
      statement(R"("Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam::111122223333:role/gone"]},"Action":"kms:*","Resource":"*")"),
      PolicyType::kResource);
  ASSERT_THAT(policy, IsOk());
  const auto none = find_invalid_principal(**policy, [](const PrincipalName&) { return true; });
  EXPECT_FALSE(none);
  const auto gone = find_invalid_principal(**policy, [](const PrincipalName& name) { return !name.text.ends_with("gone"); });
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->aws_text, kInvalidPrincipalText);
  EXPECT_EQ(gone->where, "Statement[0].Principal");
}

TEST(PinPrincipal, NamesTheIdWhereverAPrincipalIsNamed) {
  const std::string arn = "arn:aws:iam::111122223333:user/alice";
  const auto pinned = [&](std::string_view text) {
    const auto out = pin_principal(text, arn, "AIDAEXAMPLEEXAMPLE12");
    return out ? json::encode(json::parse(*out).take()) : "nothing";
  };
  EXPECT_EQ(pinned(R"({"Statement":{"Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Effect":"Allow"}})"),
            R"({"Statement":{"Principal":{"AWS":"AIDAEXAMPLEEXAMPLE12"},"Effect":"Allow"}})");
  // However it is written.
  EXPECT_EQ(pinned(R"({"Statement":[{"NotPrincipal":{"AWS":["x","arn:aws:iam::111122223333:user\/alice"]}}]})"),
            R"({"Statement":[{"NotPrincipal":{"AWS":["x","AIDAEXAMPLEEXAMPLE12"]}}]})");
  for (const char* other :
       {R"({"Statement":{"Principal":{"AWS":"arn:aws:iam::111122223333:user/alice2"}}})",
        R"({"Statement":{"Principal":{"AWS":"*"},"Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/alice"}}}})",
        R"({"Statement":{"Principal":"*","Resource":"arn:aws:iam::111122223333:user/alice"}})",
        R"({"Statement":{"Principal":{"Service":"arn:aws:iam::111122223333:user/alice"}}})", "arn:aws:iam::111122223333:user/alice",
        "[\"\\\\\"]"})
    EXPECT_EQ(pinned(other), "nothing") << other;
}

TEST(Arn, ParsesSixParts) {
  const auto arn = parse_arn("arn:aws:kms:us-east-1:111122223333:key/a:b");
  ASSERT_THAT(arn, IsOk());
  EXPECT_EQ(arn->resource, "key/a:b");
  EXPECT_EQ(arn->region, "us-east-1");
  EXPECT_THAT(parse_arn("arn:aws:kms:us-east-1:111122223333"), IsError(ErrorCode::kMalformed, HasSubstr("parts")));
  EXPECT_THAT(parse_arn("urn:aws:kms:::x"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_arn("arn::kms:::x"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_arn("arn:aws:kms:::"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_arn(std::string(3000, 'a')), IsError(ErrorCode::kLimit));
}

TEST(Principal, IsMadeOfItsArn) {
  const auto session = principal_of("arn:aws:sts::111122223333:assumed-role/parent/i-1");
  ASSERT_THAT(session, IsOk());
  EXPECT_EQ(session->identity_arn, "arn:aws:iam::111122223333:role/parent");
  EXPECT_EQ(session->session_name, "i-1");
  const auto alice = principal_of("arn:aws:iam::111122223333:user/team/alice");
  ASSERT_THAT(alice, IsOk());
  EXPECT_EQ(alice->name, "alice");
  EXPECT_EQ(alice->arn, "arn:aws:iam::111122223333:user/team/alice");
  EXPECT_EQ(principal_of("111122223333")->type, PrincipalType::kRoot);
  EXPECT_EQ(principal_of("kms.amazonaws.com")->type, PrincipalType::kService);
  EXPECT_THAT(principal_of("arn:aws:s3:::bucket"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(principal_of("arn:aws:iam::111122223333:group/g"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(principal_of("alice"), IsError(ErrorCode::kMalformed));
}

TEST(Principal, IsNamedInEveryForm) {
  const auto aws = [](std::string_view text, const Principal& who) { return naming_of({PrincipalKind::kAws, std::string(text)}, who); };
  const Principal session = assumed_role("111122223333", "/service/", "parent", "AROAEXAMPLEEXAMPLE12", "i-1");
  EXPECT_EQ(aws("arn:aws:iam::111122223333:role/service/parent", session), Naming::kRole);
  EXPECT_EQ(aws("arn:aws:iam::111122223333:role/parent", session), Naming::kRole);
  EXPECT_EQ(aws("arn:aws:iam::111122223333:role/other", session), Naming::kNone);
  EXPECT_EQ(aws("arn:aws:iam::999922223333:role/parent", session), Naming::kNone);
  EXPECT_EQ(aws("arn:aws-cn:iam::111122223333:role/parent", session), Naming::kNone);
  EXPECT_EQ(aws("arn:aws:sts::111122223333:assumed-role/parent/i-1", session), Naming::kDirect);
  EXPECT_EQ(aws("arn:aws:sts::111122223333:assumed-role/parent/i-2", session), Naming::kNone);
  EXPECT_EQ(aws("111122223333", session), Naming::kAccount);
  EXPECT_EQ(aws("arn:aws:iam::111122223333:root", session), Naming::kAccount);
  EXPECT_EQ(aws("AROAEXAMPLEEXAMPLE12", session), Naming::kRole);
  EXPECT_EQ(aws("*", session), Naming::kEveryone);
  EXPECT_EQ(aws("111122223333", root_user("111122223333")), Naming::kDirect);
  const Principal alice = user("111122223333", "/", "alice", "AIDAEXAMPLEEXAMPLE12");
  EXPECT_EQ(aws("arn:aws:iam::111122223333:user/alice", alice), Naming::kDirect);
  EXPECT_EQ(aws("arn:aws:iam::111122223333:role/alice", alice), Naming::kNone);
  EXPECT_EQ(aws("AIDAEXAMPLEEXAMPLE12", alice), Naming::kDirect);
  EXPECT_EQ(naming_of({PrincipalKind::kService, "kms.amazonaws.com"}, service("kms.amazonaws.com")), Naming::kDirect);
  EXPECT_EQ(naming_of({PrincipalKind::kService, "kms.amazonaws.com"}, alice), Naming::kNone);
  EXPECT_EQ(aws("arn:aws:sts::111122223333:federated-user/bob", federated_user("111122223333", "bob")), Naming::kDirect);
}

}  // namespace
}  // namespace casemate::iam
