// SPDX-License-Identifier: Apache-2.0
#include "iam/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_matchers.h"
#include "iam/diff.h"
#include "iam/simulate.h"

namespace casemate::iam {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

const std::string kImage(96, 'a');

std::vector<std::string> codes(std::string_view statements) {
  const auto policy = parse_policy(fmt::format(R"({{"Version":"2012-10-17","Statement":[{}]}})", statements), PolicyType::kResource);
  EXPECT_THAT(policy, IsOk());
  std::vector<std::string> out;
  if (!policy) return out;
  for (const Finding& finding : lint_policy(**policy, PolicyType::kResource)) out.push_back(finding.code);
  return out;
}

constexpr std::string_view kAdmin =
    R"({"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["kms:Put*","kms:Describe*"],"Resource":"*"})";

std::string attested(std::string_view op, std::string_view value, std::string_view action = "kms:Decrypt") {
  return fmt::format(
      R"({},{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/r"}},"Action":"{}","Resource":"*","Condition":{{"{}":{{"kms:RecipientAttestation:PCR0":"{}"}}}}}})",
      kAdmin, action, op, value);
}

TEST(Lint, FindsNothingInARightPolicy) {
  EXPECT_THAT(codes(attested("StringEqualsIgnoreCase", kImage)), testing::IsEmpty());
  EXPECT_THAT(codes(kAdmin), testing::IsEmpty());
}

TEST(Lint, FindsEachMistake) {
  EXPECT_THAT(codes(attested("StringEquals", std::string(96, 'A'))), UnorderedElementsAre("RegisterCase"));
  EXPECT_THAT(codes(attested("StringEquals", kImage.substr(1))), UnorderedElementsAre("RegisterLength"));
  EXPECT_THAT(codes(attested("StringEquals", "0x" + kImage)), UnorderedElementsAre("RegisterPrefix"));
  EXPECT_THAT(codes(attested("StringEquals", "<PCR0>")), UnorderedElementsAre("RegisterDigits"));
  EXPECT_THAT(codes(attested("StringEquals", std::string(96, '0'))), UnorderedElementsAre("RegisterZero"));
  EXPECT_THAT(codes(attested("StringLike", "ab*")), UnorderedElementsAre("RegisterWildcard"));
  EXPECT_THAT(codes(attested("StringEqualsIfExists", kImage)), UnorderedElementsAre("RegisterIfExists"));
  EXPECT_THAT(codes(attested("StringNotEquals", kImage)), UnorderedElementsAre("RegisterNegated"));
  EXPECT_THAT(codes(attested("ForAllValues:StringEquals", kImage)), UnorderedElementsAre("RegisterForAllValues"));
  EXPECT_THAT(codes(attested("StringEquals", kImage, "kms:Encrypt")), UnorderedElementsAre("ActionWithoutDocument"));
  EXPECT_THAT(codes(R"({"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"})"), UnorderedElementsAre("Everyone"));
  EXPECT_THAT(codes(fmt::format(R"({},{{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"kms:List*"}})", kAdmin)),
              UnorderedElementsAre("NoResource"));
  EXPECT_THAT(codes(fmt::format(R"({},{{"Effect":"Allow","NotPrincipal":{{"AWS":"111122223333"}},"Action":"kms:List*","Resource":"*"}})", kAdmin)),
              UnorderedElementsAre("NotPrincipalAllow"));
  EXPECT_THAT(codes(R"({"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:Decrypt","Resource":"*"})"),
              UnorderedElementsAre("LockOut"));
  EXPECT_THAT(codes(R"({"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*","Condition":{"NumericLessThan":{"a:b":"x"},"ArnLike":{"a:b":"role"}}})"),
              UnorderedElementsAre("ValueUnreadable", "ValueUnreadable"));
}

TEST(Lint, FindsWaysAroundTheAttestationCondition) {
  const std::string right = attested("StringEqualsIgnoreCase", kImage);
  EXPECT_THAT(codes(right + R"(,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"},"Action":"kms:*","Resource":"*"})"),
              UnorderedElementsAre("Detour"));
  EXPECT_THAT(codes(right + R"(,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"})"),
              UnorderedElementsAre("DelegatedDetour", "Redundant"));
}

TEST(Lint, FindsWhatNeverAppliesOrChangesNothing) {
  const auto with = [](std::string_view more) { return fmt::format("{},{}", kAdmin, more); };
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Encrypt","Resource":"*"},
                           {"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"kms:E*","Resource":"*"})")),
              UnorderedElementsAre("Unreachable"));
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:PutKeyPolicy","Resource":"*"})")),
              UnorderedElementsAre("Redundant"));
  EXPECT_THAT(codes(fmt::format("{0},{0}", kAdmin)), UnorderedElementsAre("Redundant"));
  EXPECT_THAT(codes(with(R"({"Effect":"Deny","Principal":"*","Action":"kms:PutKeyPolicy","Resource":"*"})")), UnorderedElementsAre("LockOut"));
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Encrypt","Resource":"*",
                            "Condition":{"StringEquals":{"aws:PrincipalTag/a":"1"},"StringEqualsIgnoreCase":{"aws:principaltag/A":"2"}}})")),
              UnorderedElementsAre("Contradiction"));
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Encrypt","Resource":"*",
                            "Condition":{"StringEquals":{"kms:ViaService":"x"},"Null":{"kms:ViaService":"true"}}})")),
              UnorderedElementsAre("Contradiction"));
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Encrypt","Resource":"*",
                            "Condition":{"StringEquals":{"kms:ViaService":"x"},"StringNotEquals":{"kms:ViaService":["x","y"]}}})")),
              UnorderedElementsAre("Contradiction"));
  EXPECT_THAT(codes(fmt::format(R"({},{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/r"}},"Action":"kms:Decrypt","Resource":"*",
                            "Condition":{{"StringEquals":{{"kms:RecipientAttestation:PCR0":"{}","kms:RecipientAttestation:ImageSha384":"{}"}}}}}})",
                                kAdmin, kImage, std::string(96, 'b'))),
              UnorderedElementsAre("Contradiction"));
}

TEST(Lint, FindsNamesThatNobodyHas) {
  const auto with = [](std::string_view more) { return fmt::format("{},{}", kAdmin, more); };
  EXPECT_THAT(codes(with(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Decript","Resource":"*"})")),
              UnorderedElementsAre("ActionUnknown"));
  EXPECT_THAT(codes(with(R"({"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:role/r"},"Action":"kms:Decrypt","Resource":"*",
                            "Condition":{"StringEquals":{"kms:RecipientAttestation:PKR1":"x","kms:EncryptionContext:App":"x","kms:KeySpek":"x"}}})")),
              UnorderedElementsAre("KeyUnknown", "KeyUnknown"));
  const auto old = parse_policy(
      R"({"Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*","Condition":{"StringEquals":{"aws:userid":"${aws:username}"}}}]})",
      PolicyType::kIdentity);
  ASSERT_THAT(old, IsOk());
  const auto findings = lint_policy(**old, PolicyType::kIdentity);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings.front().code, "VariableLiteral");
  const auto named = parse_policy(fmt::format(R"({{"Statement":[{}]}})", kAdmin), PolicyType::kResource).take();
  EXPECT_THAT(lint_policy(*named, PolicyType::kResource, {[](const PrincipalName&) { return true; }}), testing::IsEmpty());
  const auto missing = lint_policy(*named, PolicyType::kResource, {[](const PrincipalName&) { return false; }});
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing.front().code, "PrincipalMissing");
}

Difference diff(std::string_view before, std::string_view after) {
  const auto parse = [](std::string_view statements) {
    const auto policy = parse_policy(fmt::format(R"({{"Version":"2012-10-17","Statement":[{}]}})", statements), PolicyType::kResource);
    EXPECT_THAT(policy, IsOk());
    return policy.value();
  };
  return diff_policies(*parse(before), *parse(after), PolicyType::kResource, "111122223333");
}

TEST(Diff, SeesThroughForm) {
  const std::string one = attested("StringEqualsIgnoreCase", kImage);
  EXPECT_TRUE(diff(one, one).changes.empty());
  const std::string split =
      R"({"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":["KMS:DESCRIBE*"],"Resource":"*"},)"
      R"({"Sid":"b","Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":"kms:PutKeyPolicy","Resource":["*"]})";
  EXPECT_TRUE(diff(kAdmin, split).changes.empty());
}

TEST(Diff, NamesWhatBecomesAllowedAndDenied) {
  const std::string open =
      fmt::format(R"({},{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/r"}},"Action":"kms:Decrypt","Resource":"*"}})", kAdmin);
  const Difference bound = diff(open, attested("StringEqualsIgnoreCase", kImage));
  ASSERT_EQ(bound.changes.size(), 2U);
  for (const Change& change : bound.changes) {
    EXPECT_EQ(change.becomes, Becomes::kDenied);
    EXPECT_EQ(change.principal, "arn:aws:iam::111122223333:role/r");
    EXPECT_THAT(change.actions, testing::ElementsAre("kms:Decrypt"));
  }
  EXPECT_THAT(bound.changes[0].when, testing::ElementsAre("kms:RecipientAttestation:PCR0 has another value"));
  EXPECT_THAT(bound.changes[1].when, testing::ElementsAre("kms:RecipientAttestation:PCR0 is absent"));
  const Difference moved = diff(attested("StringEqualsIgnoreCase", kImage), attested("StringEqualsIgnoreCase", std::string(96, 'b')));
  ASSERT_EQ(moved.changes.size(), 2U);
  EXPECT_EQ(moved.changes[0].becomes, Becomes::kAllowed);
  EXPECT_THAT(moved.changes[0].when, testing::ElementsAre("kms:RecipientAttestation:PCR0 = " + std::string(96, 'b')));
  EXPECT_EQ(moved.changes[1].becomes, Becomes::kDenied);
  const Difference wide = diff(kAdmin, R"({"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"})");
  ASSERT_EQ(wide.changes.size(), 1U);
  EXPECT_EQ(wide.changes[0].principal, "whoever in account 111122223333 has an identity-based policy that allows it");
  EXPECT_TRUE(wide.changes[0].when.empty());
  EXPECT_GT(wide.changes[0].actions.size(), 40U);
}

TEST(Diff, IsBoundedUnderManyConditions) {
  std::string conditions;
  for (int i = 0; i < 12; ++i) conditions += fmt::format(R"({}"aws:PrincipalTag/k{}":["a","b","c"])", i == 0 ? "" : ",", i);
  const Difference many = diff(kAdmin, fmt::format(
      R"({},{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/r"}},"Action":"kms:Encrypt","Resource":"*","Condition":{{"StringEquals":{{{}}}}}}})",
      kAdmin, conditions));
  EXPECT_FALSE(many.complete);
  EXPECT_FALSE(many.changes.empty());
}

TEST(Generate, IsCleanUnderLint) {
  GenerateOptions options;
  options.principal = "arn:aws:iam::111122223333:role/casemate-parent";
  EXPECT_THAT(generate_key_policy(options), IsError(ErrorCode::kUnsupported));
  options.registers = {{0, {std::string(96, 'A'), kImage}}, {8, {kImage}}};
  const auto text = generate_key_policy(options);
  ASSERT_THAT(text, IsOk());
  const auto policy = parse_policy(*text, PolicyType::kResource);
  ASSERT_THAT(policy, IsOk());
  const auto findings = lint_policy(**policy, PolicyType::kResource);
  EXPECT_TRUE(findings.empty()) << findings.front().code << " " << findings.front().where;
  options.registers = {{0, {"abc"}}};
  EXPECT_THAT(generate_key_policy(options), IsError(ErrorCode::kMalformed, HasSubstr("register 0")));
  options.registers = {{0, {std::string(96, '0')}}};
  EXPECT_THAT(generate_key_policy(options), IsError(ErrorCode::kMalformed, HasSubstr("debug")));
}

Result<json::Value> simulated(std::string_view text) {
  return simulate(json::parse(text).take());
}

TEST(Simulate, DecidesWithTrace) {
  const std::string policy = fmt::format(
      R"({{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/r"}},"Action":"kms:Decrypt","Resource":"*","Condition":{{"StringEquals":{{"kms:RecipientAttestation:PCR0":"{}"}}}}}}}})",
      kImage);
  const auto one = [&](std::string_view context) {
    return simulated(fmt::format(
        R"({{"request":{{"principal":"arn:aws:sts::111122223333:assumed-role/r/s","action":"kms:Decrypt","resource":"arn:aws:kms:us-east-1:111122223333:key/1","context":{}}},"resourcePolicy":{}}})",
        context, policy));
  };
  const auto yes = one(fmt::format(R"({{"kms:RecipientAttestation:PCR0":"{}"}})", kImage));
  ASSERT_THAT(yes, IsOk());
  EXPECT_EQ(*yes->string_at("decision"), "Allowed");
  const auto no = one("{}");
  ASSERT_THAT(no, IsOk());
  EXPECT_EQ(*no->string_at("decision"), "ImplicitlyDenied");
  EXPECT_EQ(*no->find("trace")->string_at("cause"), "NoDocument");
}

TEST(Simulate, TakesEveryKindOfPolicyAndGrants) {
  const auto got = simulated(
      R"({"request":{"principal":"arn:aws:iam::111122223333:user/a","action":"kms:Decrypt",
          "resource":{"resource":"arn:aws:kms:us-east-1:111122223333:key/1","accountId":"111122223333"},
          "context":{"kms:EncryptionContext:App":"x","aws:MultiFactorAuthPresent":true}},
          "identityPolicies":[{"name":"p","policy":{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}}],
          "grants":[{"granteePrincipal":"arn:aws:iam::111122223333:user/a","operations":["Decrypt"],
                     "constraints":{"encryptionContextSubset":{"App":"x"}}}]})");
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(*got->string_at("decision"), "Allowed");
  const auto identity = simulated(
      R"({"request":{"principal":"arn:aws:iam::111122223333:user/a","action":"s3:GetObject","resource":"arn:aws:s3:::b/a"},
          "identityPolicies":[{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:userid}*"}}],
          "sessionPolicy":{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}})");
  ASSERT_THAT(identity, IsOk());
  EXPECT_EQ(*identity->string_at("decision"), "ExplicitlyDenied");
}

TEST(Simulate, NamesWhatIsWrong) {
  EXPECT_THAT(simulated("{}"), IsError(ErrorCode::kMalformed, HasSubstr("request")));
  EXPECT_THAT(simulated(R"({"request":{"principal":"bob","action":"kms:Decrypt","resource":"*"}})"),
              IsError(ErrorCode::kMalformed, HasSubstr("request.principal")));
  EXPECT_THAT(simulated(R"({"request":{"principal":"111122223333","action":"kms:Decrypt","resource":"*"},"identityPolicies":[{}]})"),
              IsError(ErrorCode::kMalformed, HasSubstr("identityPolicies[0]")));
}

}  // namespace
}  // namespace casemate::iam
