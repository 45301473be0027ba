// SPDX-License-Identifier: Apache-2.0
#include "iam/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_matchers.h"
#include "iam/simulate.h"

namespace casemate::iam {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

const std::string kPcr(96, 'a');

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
  EXPECT_THAT(codes(attested("StringEqualsIgnoreCase", kPcr)), testing::IsEmpty());
  EXPECT_THAT(codes(kAdmin), testing::IsEmpty());
}

TEST(Lint, FindsEachMistake) {
  EXPECT_THAT(codes(attested("StringEquals", std::string(96, 'A'))), UnorderedElementsAre("RegisterCase"));
  EXPECT_THAT(codes(attested("StringEquals", kPcr.substr(1))), UnorderedElementsAre("RegisterLength"));
  EXPECT_THAT(codes(attested("StringEquals", "0x" + kPcr)), UnorderedElementsAre("RegisterPrefix"));
  EXPECT_THAT(codes(attested("StringEquals", "<PCR0>")), UnorderedElementsAre("RegisterDigits"));
  EXPECT_THAT(codes(attested("StringEquals", std::string(96, '0'))), UnorderedElementsAre("RegisterZero"));
  EXPECT_THAT(codes(attested("StringLike", "ab*")), UnorderedElementsAre("RegisterWildcard"));
  EXPECT_THAT(codes(attested("StringEqualsIfExists", kPcr)), UnorderedElementsAre("RegisterIfExists"));
  EXPECT_THAT(codes(attested("StringNotEquals", kPcr)), UnorderedElementsAre("RegisterNegated"));
  EXPECT_THAT(codes(attested("ForAllValues:StringEquals", kPcr)), UnorderedElementsAre("RegisterForAllValues"));
  EXPECT_THAT(codes(attested("StringEquals", kPcr, "kms:Encrypt")), UnorderedElementsAre("ActionWithoutDocument"));
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
  const std::string right = attested("StringEqualsIgnoreCase", kPcr);
  EXPECT_THAT(codes(right + R"(,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"},"Action":"kms:*","Resource":"*"})"),
              UnorderedElementsAre("Detour"));
  EXPECT_THAT(codes(right + R"(,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"})"),
              UnorderedElementsAre("DelegatedDetour"));
}

TEST(Generate, IsCleanUnderLint) {
  GenerateOptions options;
  options.principal = "arn:aws:iam::111122223333:role/casemate-parent";
  EXPECT_THAT(generate_key_policy(options), IsError(ErrorCode::kUnsupported));
  options.registers = {{0, {std::string(96, 'A'), kPcr}}, {8, {kPcr}}};
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
      kPcr);
  const auto one = [&](std::string_view context) {
    return simulated(fmt::format(
        R"({{"request":{{"principal":"arn:aws:sts::111122223333:assumed-role/r/s","action":"kms:Decrypt","resource":"arn:aws:kms:us-east-1:111122223333:key/1","context":{}}},"resourcePolicy":{}}})",
        context, policy));
  };
  const auto yes = one(fmt::format(R"({{"kms:RecipientAttestation:PCR0":"{}"}})", kPcr));
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
