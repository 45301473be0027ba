// SPDX-License-Identifier: Apache-2.0
// Laws of conditions, statements and differences, over generated policies.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "iam/diff.h"
#include "iam/evaluate.h"
#include "iam/lint.h"

namespace casemate::iam {
namespace {

const std::vector<std::string> kValues = {"1", "2", "a", "A", "true", "2027-01-15T00:00:00Z", "10.1.2.3", "AAE=",
                                          "arn:aws:iam::111122223333:role/r"};

std::string random_value() {
  return kValues[static_cast<std::size_t>(*rc::gen::inRange<int>(0, static_cast<int>(kValues.size())))];
}

Operator random_operator() {
  return static_cast<Operator>(*rc::gen::inRange<int>(0, static_cast<int>(Operator::kNull)));
}

Condition make(const OperatorName& name, const std::vector<std::string>& values) {
  return compile_condition(name, "k:a", values, Variables::kLiteral).take();
}

std::vector<std::string> random_values() {
  std::vector<std::string> out;
  const int count = *rc::gen::inRange(1, 4);
  for (int i = 0; i < count; ++i) out.push_back(random_value());
  return out;
}

RequestContext random_context() {
  RequestContext out;
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      break;
    case 1:
      out.set("k:a", random_value());
      break;
    default:
      out.set_list("k:a", random_values());
  }
  return out;
}

RC_GTEST_PROP(ConditionLaw, IfExistsIsTheConditionOrTrueWhenAbsent, ()) {
  OperatorName name{random_operator(), *rc::gen::element(Quantifier::kNone, Quantifier::kForAnyValue, Quantifier::kForAllValues), false};
  const auto values = random_values();
  const RequestContext context = random_context();
  const bool strict = holds(make(name, values), context);
  name.if_exists = true;
  const bool lenient = holds(make(name, values), context);
  RC_ASSERT(lenient == (context.find("k:a") == nullptr ? true : strict));
}

RC_GTEST_PROP(ConditionLaw, ANegatedOperatorIsTheOpposite, ()) {
  const auto [positive, negative] = *rc::gen::element(
      std::pair(Operator::kStringEquals, Operator::kStringNotEquals),
      std::pair(Operator::kStringEqualsIgnoreCase, Operator::kStringNotEqualsIgnoreCase),
      std::pair(Operator::kStringLike, Operator::kStringNotLike));
  const auto values = random_values();
  RequestContext context;
  if (*rc::gen::element(false, true)) context.set("k:a", random_value());
  RC_ASSERT(holds(make({positive, Quantifier::kNone, false}, values), context) !=
            holds(make({negative, Quantifier::kNone, false}, values), context));
}

RC_GTEST_PROP(ConditionLaw, OrderAndRepetitionOfValuesNeverMatter, ()) {
  const OperatorName name{random_operator(), *rc::gen::element(Quantifier::kNone, Quantifier::kForAnyValue, Quantifier::kForAllValues), false};
  const auto values = random_values();
  auto shuffled = values;
  std::reverse(shuffled.begin(), shuffled.end());
  shuffled.push_back(values.front());
  const RequestContext context = random_context();
  RC_ASSERT(holds(make(name, values), context) == holds(make(name, shuffled), context));
}

RC_GTEST_PROP(ConditionLaw, OneOfManyValuesIsEnoughAndNoneIsAllowedToBe, ()) {
  const auto values = random_values();
  RequestContext context;
  context.set("k:a", random_value());
  const auto each = [&](Operator op) {
    return std::count_if(values.begin(), values.end(),
                         [&](const std::string& value) { return holds(make({op, Quantifier::kNone, false}, {value}), context); });
  };
  RC_ASSERT(holds(make({Operator::kStringEquals, Quantifier::kNone, false}, values), context) == (each(Operator::kStringEquals) > 0));
  RC_ASSERT(holds(make({Operator::kStringNotEquals, Quantifier::kNone, false}, values), context) ==
            (each(Operator::kStringNotEquals) == static_cast<std::ptrdiff_t>(values.size())));
}

// ---- statements in other words

struct Parts {
  std::string effect;
  std::vector<std::string> principals;
  std::vector<std::string> actions;
  std::vector<std::string> keys;  // `"k:a":"1"`
};

Parts random_parts() {
  Parts out;
  out.effect = *rc::gen::element<std::string>("Allow", "Deny");
  out.principals = *rc::gen::element(std::vector<std::string>{"111122223333"},
                                     std::vector<std::string>{"arn:aws:iam::111122223333:role/r", "444455556666"},
                                     std::vector<std::string>{"arn:aws:iam::111122223333:user/u"});
  out.actions = *rc::gen::element(std::vector<std::string>{"kms:Decrypt", "kms:Enc*"}, std::vector<std::string>{"kms:*"},
                                  std::vector<std::string>{"kms:Put*", "kms:Decrypt"});
  out.keys = *rc::gen::element(std::vector<std::string>{}, std::vector<std::string>{R"("k:a":"1")"},
                               std::vector<std::string>{R"("k:a":["1","2"])", R"("k:b":"x")"});
  return out;
}

std::string list_text(std::vector<std::string> texts, bool backwards) {
  if (backwards) std::reverse(texts.begin(), texts.end());
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "\"" : ",\"") + text + "\"";
  return "[" + out + "]";
}

std::string statement_text(const Parts& parts, bool backwards) {
  std::vector<std::string> keys = parts.keys;
  if (backwards) std::reverse(keys.begin(), keys.end());
  std::string condition;
  for (const std::string& key : keys) condition += (condition.empty() ? "" : ",") + key;
  std::vector<std::string> members = {
      fmt::format(R"("Effect":"{}")", parts.effect),
      fmt::format(R"("Principal":{{"AWS":{}}})", list_text(parts.principals, backwards)),
      fmt::format(R"("Action":{})", list_text(parts.actions, backwards)), R"("Resource":"*")"};
  if (!condition.empty()) members.push_back(fmt::format(R"("Condition":{{"StringEquals":{{{}}}}})", condition));
  if (backwards) std::reverse(members.begin(), members.end());
  std::string out;
  for (const std::string& member : members) out += (out.empty() ? "" : ",") + member;
  return "{" + out + "}";
}

std::vector<Parts> random_policy() {
  std::vector<Parts> out;
  const int count = *rc::gen::inRange(1, 4);
  for (int i = 0; i < count; ++i) out.push_back(random_parts());
  return out;
}

PolicyPtr policy_of(const std::vector<Parts>& statements, bool backwards) {
  std::string out;
  for (const Parts& parts : statements) out += (out.empty() ? "" : ",") + statement_text(parts, backwards);
  return parse_policy(fmt::format(R"({{"Version":"2012-10-17","Statement":[{}]}})", out), PolicyType::kResource).take();
}

RC_GTEST_PROP(PolicyLaw, OrderOfElementsKeysAndValuesNeverMatters, ()) {
  const auto statements = random_policy();
  const Difference none = diff_policies(*policy_of(statements, false), *policy_of(statements, true), PolicyType::kResource, "111122223333");
  RC_ASSERT(none.changes.empty());
  RC_ASSERT(none.complete);
}

RC_GTEST_PROP(PolicyLaw, ADifferenceTurnsRoundWithItsSides, ()) {
  const PolicyPtr a = policy_of(random_policy(), false);
  const PolicyPtr b = policy_of(random_policy(), false);
  const auto count = [](const Difference& difference, Becomes becomes) {
    return std::count_if(difference.changes.begin(), difference.changes.end(), [&](const Change& change) { return change.becomes == becomes; });
  };
  const Difference there = diff_policies(*a, *b, PolicyType::kResource, "111122223333");
  const Difference back = diff_policies(*b, *a, PolicyType::kResource, "111122223333");
  RC_ASSERT(count(there, Becomes::kAllowed) == count(back, Becomes::kDenied));
  RC_ASSERT(count(there, Becomes::kDenied) == count(back, Becomes::kAllowed));
}

// What lint calls redundant or unreachable can be left out without a difference.
RC_GTEST_PROP(PolicyLaw, VainStatementsCanGo, ()) {
  auto statements = random_policy();
  const PolicyPtr whole = policy_of(statements, false);
  for (const Finding& finding : lint_policy(*whole, PolicyType::kResource)) {
    if (finding.code != "Redundant" && finding.code != "Unreachable") continue;
    const std::size_t index = std::stoul(finding.where.substr(std::string("Statement[").size()));
    auto fewer = statements;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(index));
    if (fewer.empty()) continue;
    RC_ASSERT(diff_policies(*whole, *policy_of(fewer, false), PolicyType::kResource, "111122223333").changes.empty());
  }
}

// ---- hostile documents

PolicyDefect refused(const std::string& text) {
  auto checked = check_policy(text, PolicyType::kResource);
  const auto* defect = std::get_if<PolicyDefect>(&checked);
  EXPECT_NE(defect, nullptr) << text.substr(0, 100);
  return defect == nullptr ? PolicyDefect{} : *defect;
}

std::string with_condition(std::string_view condition) {
  return fmt::format(
      R"({{"Statement":{{"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{}}}}})", condition);
}

TEST(HostilePolicy, IsRefusedWithPositionAndReason) {
  for (const char* number : {"1e999", "-1e999"}) {
    const PolicyDefect defect = refused(with_condition(fmt::format(R"({{"NumericEquals":{{"a:b":{}}}}})", number)));
    EXPECT_FALSE(defect.what.empty());
    EXPECT_FALSE(defect.where.empty());
  }
  EXPECT_EQ(refused(with_condition(R"({"StringEquals":{"a:b":{"c":"d"}}})")).where, "Statement.Condition.StringEquals.a:b");
  EXPECT_NE(refused(with_condition(R"({"StringEquals":{"a:b":"\udfff"}})")).what.find("offset"), std::string::npos);
  EXPECT_NE(refused(with_condition("{\"StringEquals\":{\"a:b\":\"\xC0\x80\"}}")).what.find("offset"), std::string::npos);
}

TEST(HostilePolicy, GiantListsStayWithinTheLimitAndAreDecided) {
  std::string values;
  while (values.size() < 30'000) values += values.empty() ? "\"*a*a*a*?b\"" : ",\"*a*a*a*?b\"";
  const auto policy = parse_policy(with_condition(fmt::format(R"({{"StringLike":{{"a:b":[{}]}}}})", values)), PolicyType::kResource);
  ASSERT_TRUE(policy.ok());
  const NamedPolicy named{"p", *policy};
  Caller caller;
  caller.principal = user("111122223333", "/", "u", "AIDA");
  RequestContext context;
  context.set("a:b", std::string(8192, 'a'));
  AuthorizationRequest request{caller, "kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1", "111122223333", context};
  request.resource_policy = &named;
  EXPECT_FALSE(decide(request).allowed());
  EXPECT_LE(lint_policy(**policy, PolicyType::kResource).size(), 10U);
  EXPECT_TRUE(refused(with_condition(fmt::format(R"({{"StringLike":{{"a:b":[{0},{0}]}}}})", values))).code == ErrorCode::kLimit);
}

}  // namespace
}  // namespace casemate::iam
