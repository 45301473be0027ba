// SPDX-License-Identifier: Apache-2.0
#include "iam/condition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/test_matchers.h"

namespace casemate::iam {
namespace {

// Key `k:x` is single-valued, `k:list` multi-valued, `k:absent` absent.
struct Row {
  const char* op;
  const char* key;
  std::vector<std::string> policy;
  std::vector<std::string> request;
  bool want;
};

bool evaluate(std::string_view op, std::string_view key, const std::vector<std::string>& policy,
              const std::vector<std::string>& request, Variables variables = Variables::kActive) {
  RequestContext context;
  context.set("aws:username", "alice");
  if (key == "k:x") context.set("K:X", request.empty() ? "" : request.front());
  if (key == "k:list") context.set_list("K:List", request);
  const auto name = parse_operator(op);
  EXPECT_THAT(name, IsOk()) << op;
  const auto condition = compile_condition(*name, key, policy, variables);
  EXPECT_THAT(condition, IsOk());
  return holds(*condition, context);
}

class ConditionTable : public testing::TestWithParam<Row> {};

TEST_P(ConditionTable, Holds) {
  const Row& row = GetParam();
  EXPECT_EQ(evaluate(row.op, row.key, row.policy, row.request), row.want)
      << row.op << " " << row.key << " policy " << testing::PrintToString(row.policy) << " request "
      << testing::PrintToString(row.request);
}

INSTANTIATE_TEST_SUITE_P(
    Strings, ConditionTable,
    testing::Values(Row{"StringEquals", "k:x", {"a", "b"}, {"b"}, true}, Row{"StringEquals", "k:x", {"a"}, {"A"}, false},
                    Row{"StringEquals", "k:x", {"a*"}, {"ab"}, false}, Row{"StringEquals", "k:x", {"a*"}, {"a*"}, true},
                    Row{"StringEquals", "k:x", {}, {"a"}, false}, Row{"StringEquals", "k:absent", {"a"}, {}, false},
                    Row{"StringEqualsIfExists", "k:absent", {"a"}, {}, true},
                    Row{"StringEqualsIfExists", "k:x", {"a"}, {"b"}, false},
                    Row{"StringNotEquals", "k:x", {"a", "b"}, {"c"}, true},
                    Row{"StringNotEquals", "k:x", {"a", "b"}, {"b"}, false},
                    Row{"StringNotEquals", "k:absent", {"a"}, {}, true},
                    Row{"StringNotEqualsIfExists", "k:absent", {"a"}, {}, true},
                    Row{"StringEqualsIgnoreCase", "k:x", {"AbC"}, {"aBc"}, true},
                    Row{"StringEqualsIgnoreCase", "k:absent", {"AbC"}, {}, false},
                    Row{"StringNotEqualsIgnoreCase", "k:x", {"AbC"}, {"aBc"}, false},
                    Row{"StringLike", "k:x", {"a*"}, {"abc"}, true}, Row{"StringLike", "k:x", {"a?"}, {"abc"}, false},
                    Row{"StringLike", "k:x", {"a${*}"}, {"abc"}, false},
                    Row{"StringLike", "k:x", {"a${*}"}, {"a*"}, true},
                    Row{"StringLike", "k:x", {"${aws:username}/*"}, {"alice/x"}, true},
                    Row{"StringEquals", "k:x", {"${no:such}", "b"}, {"b"}, true},
                    Row{"StringNotEquals", "k:x", {"${no:such}"}, {"b"}, false},
                    Row{"StringNotLike", "k:x", {"a*"}, {"abc"}, false}, Row{"StringNotLike", "k:x", {"a*"}, {"b"}, true},
                    Row{"stringequals", "k:x", {"a"}, {"a"}, true}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, ConditionTable,
    testing::Values(Row{"NumericEquals", "k:x", {"10"}, {"10.0"}, true}, Row{"NumericEquals", "k:x", {"x"}, {"10"}, false},
                    Row{"NumericEquals", "k:x", {"10"}, {"x"}, false}, Row{"NumericNotEquals", "k:x", {"10"}, {"11"}, true},
                    Row{"NumericNotEquals", "k:x", {"10", "11"}, {"11"}, false},
                    Row{"NumericNotEquals", "k:x", {"x"}, {"11"}, false},
                    Row{"NumericNotEquals", "k:absent", {"10"}, {}, true},
                    Row{"NumericLessThan", "k:x", {"10"}, {"9"}, true}, Row{"NumericLessThan", "k:x", {"10"}, {"10"}, false},
                    Row{"NumericLessThanEquals", "k:x", {"10"}, {"10"}, true},
                    Row{"NumericGreaterThan", "k:x", {"10"}, {"10.5"}, true},
                    Row{"NumericGreaterThan", "k:x", {"-1"}, {"-2"}, false},
                    Row{"NumericGreaterThanEquals", "k:x", {"10"}, {"10"}, true},
                    Row{"NumericLessThan", "k:absent", {"10"}, {}, false},
                    Row{"NumericLessThanIfExists", "k:absent", {"10"}, {}, true},
                    Row{"NumericEquals", "k:x", {"1e400"}, {"1"}, false}));

INSTANTIATE_TEST_SUITE_P(
    Dates, ConditionTable,
    testing::Values(Row{"DateEquals", "k:x", {"2026-01-31T00:00:00Z"}, {"2026-01-31"}, true},
                    Row{"DateEquals", "k:x", {"1769817600"}, {"2026-01-31T00:00:00Z"}, true},
                    Row{"DateNotEquals", "k:x", {"2026-01-31"}, {"2026-02-01"}, true},
                    Row{"DateLessThan", "k:x", {"2026-01-31T12:00:00Z"}, {"2026-01-31T11:59:59Z"}, true},
                    Row{"DateLessThan", "k:x", {"2026-01-31T12:00:00+02:00"}, {"2026-01-31T11:00:00Z"}, false},
                    Row{"DateLessThanEquals", "k:x", {"2026-01-31"}, {"2026-01-31T00:00:00Z"}, true},
                    Row{"DateGreaterThan", "k:x", {"2026-01-31"}, {"2026-01-31T00:00:01Z"}, true},
                    Row{"DateGreaterThanEquals", "k:x", {"2026-01-31"}, {"2026-01-30T23:59:59Z"}, false},
                    Row{"DateGreaterThan", "k:x", {"tomorrow"}, {"2026-01-31T00:00:01Z"}, false},
                    Row{"DateLessThan", "k:absent", {"2026-01-31"}, {}, false}));

INSTANTIATE_TEST_SUITE_P(
    Others, ConditionTable,
    testing::Values(
        Row{"Bool", "k:x", {"true"}, {"true"}, true}, Row{"Bool", "k:x", {"TRUE"}, {"true"}, true},
        Row{"Bool", "k:x", {"false"}, {"true"}, false}, Row{"Bool", "k:x", {"yes"}, {"true"}, false},
        Row{"Bool", "k:absent", {"false"}, {}, false}, Row{"BoolIfExists", "k:absent", {"true"}, {}, true},
        Row{"BinaryEquals", "k:x", {"aGk="}, {"aGk="}, true}, Row{"BinaryEquals", "k:x", {"aGk"}, {"aGk="}, false},
        Row{"BinaryEquals", "k:absent", {"aGk="}, {}, false},
        Row{"IpAddress", "k:x", {"203.0.113.0/24"}, {"203.0.113.9"}, true},
        Row{"IpAddress", "k:x", {"203.0.113.0/24"}, {"203.0.114.9"}, false},
        Row{"IpAddress", "k:x", {"203.0.113.9"}, {"203.0.113.9"}, true},
        Row{"IpAddress", "k:x", {"0.0.0.0/0"}, {"203.0.113.9"}, true},
        Row{"IpAddress", "k:x", {"2001:db8::/32"}, {"2001:db8:1::1"}, true},
        Row{"IpAddress", "k:x", {"2001:db8::/129"}, {"2001:db8:1::1"}, false},
        Row{"IpAddress", "k:x", {"203.0.113.0/33"}, {"203.0.113.9"}, false},
        Row{"IpAddress", "k:absent", {"0.0.0.0/0"}, {}, false},
        Row{"NotIpAddress", "k:x", {"203.0.113.0/24"}, {"203.0.114.9"}, true},
        Row{"NotIpAddress", "k:absent", {"203.0.113.0/24"}, {}, true},
        Row{"ArnLike", "k:x", {"arn:aws:iam::111122223333:role/*"}, {"arn:aws:iam::111122223333:role/a/b"}, true},
        Row{"ArnEquals", "k:x", {"arn:aws:iam::*:role/b"}, {"arn:aws:iam::111122223333:role/b"}, true},
        Row{"ArnEquals", "k:x", {"arn:aws:*:role/b"}, {"arn:aws:iam::111122223333:role/b"}, false},
        Row{"ArnEquals", "k:x", {"*"}, {"arn:aws:iam::111122223333:role/b"}, false},
        Row{"ArnNotEquals", "k:x", {"arn:aws:iam::111122223333:role/b"}, {"arn:aws:iam::111122223333:role/c"}, true},
        Row{"ArnNotLike", "k:x", {"arn:aws:iam::*:role/*"}, {"arn:aws:iam::111122223333:role/c"}, false},
        Row{"ArnLike", "k:absent", {"arn:aws:iam::*:role/*"}, {}, false},
        Row{"ArnNotLike", "k:absent", {"arn:aws:iam::*:role/*"}, {}, true}, Row{"Null", "k:absent", {"true"}, {}, true},
        Row{"Null", "k:x", {"true"}, {"a"}, false}, Row{"Null", "k:x", {"false"}, {"a"}, true},
        Row{"Null", "k:absent", {"false"}, {}, false}, Row{"Null", "k:list", {"true"}, {}, true}));

INSTANTIATE_TEST_SUITE_P(
    Lists, ConditionTable,
    testing::Values(Row{"StringEquals", "k:list", {"a"}, {"a"}, false}, Row{"StringNotEquals", "k:list", {"a"}, {"b"}, false},
                    Row{"ForAnyValue:StringEquals", "k:list", {"a", "b"}, {"c", "b"}, true},
                    Row{"ForAnyValue:StringEquals", "k:list", {"a"}, {"c", "b"}, false},
                    Row{"ForAnyValue:StringEquals", "k:absent", {"a"}, {}, false},
                    Row{"ForAnyValue:StringNotEquals", "k:absent", {"a"}, {}, false},
                    Row{"ForAnyValue:StringNotEquals", "k:list", {"a"}, {"a", "b"}, true},
                    Row{"ForAnyValue:StringEqualsIfExists", "k:absent", {"a"}, {}, true},
                    Row{"ForAllValues:StringEquals", "k:list", {"a", "b"}, {"a", "b"}, true},
                    Row{"ForAllValues:StringEquals", "k:list", {"a"}, {"a", "b"}, false},
                    Row{"ForAllValues:StringEquals", "k:absent", {"a"}, {}, true},
                    Row{"ForAllValues:StringEquals", "k:list", {"a"}, {}, true},
                    Row{"ForAllValues:StringNotEquals", "k:list", {"a"}, {"b", "c"}, true},
                    Row{"ForAllValues:StringNotEquals", "k:list", {"a"}, {"a", "c"}, false},
                    Row{"ForAllValues:StringLike", "k:list", {"a*"}, {"ab", "ac"}, true},
                    Row{"ForAnyValue:StringEquals", "k:x", {"a"}, {"a"}, true}));

TEST(Condition, VariablesAreLiteralInTheOldVersion) {
  EXPECT_TRUE(evaluate("StringEquals", "k:x", {"${aws:username}"}, {"${aws:username}"}, Variables::kLiteral));
  EXPECT_FALSE(evaluate("StringEquals", "k:x", {"${aws:username}"}, {"alice"}, Variables::kLiteral));
}

TEST(Condition, OperatorsKeepTheirNames) {
  for (const char* text : {"StringEquals", "ForAnyValue:StringLikeIfExists", "ForAllValues:ArnNotLike", "Null", "NotIpAddress"}) {
    const auto name = parse_operator(text);
    ASSERT_THAT(name, IsOk()) << text;
    EXPECT_EQ(to_string(*name), text);
  }
  EXPECT_THAT(parse_operator("NullIfExists"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_operator("StringMatches"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_operator(""), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_operator("ForAnyValue:"), IsError(ErrorCode::kMalformed));
}

const std::vector<std::string>& all_operators() {
  static const std::vector<std::string> names = {
      "StringEquals",     "StringNotEquals",      "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
      "StringLike",       "StringNotLike",        "NumericEquals",          "NumericNotEquals",
      "NumericLessThan",  "NumericGreaterThan",   "DateEquals",             "DateNotEquals",
      "DateLessThan",     "DateGreaterThanEquals", "Bool",                  "BinaryEquals",
      "IpAddress",        "NotIpAddress",         "ArnLike",                "ArnNotLike"};
  return names;
}

rc::Gen<std::string> texts() {
  return rc::gen::element<std::string>("a", "A", "ab", "a*", "1", "2.5", "true", "false", "2026-01-31", "10.0.0.1",
                                       "10.0.0.0/8", "aGk=", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/*", "");
}

RC_GTEST_PROP(ConditionLaw, IfExistsEqualsThePlainConditionOrTrueWhenAbsent, ()) {
  const auto op = *rc::gen::elementOf(all_operators());
  const auto policy = *rc::gen::container<std::vector<std::string>>(texts());
  const auto value = *texts();
  RC_ASSERT(evaluate(op + "IfExists", "k:x", policy, {value}) == evaluate(op, "k:x", policy, {value}));
  RC_ASSERT(evaluate(op + "IfExists", "k:absent", policy, {}));
}

RC_GTEST_PROP(ConditionLaw, NegatedStringOperatorsAreTheOpposite, ()) {
  static const std::vector<std::pair<std::string, std::string>> kPairs = {
      {"StringEquals", "StringNotEquals"},
      {"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
      {"StringLike", "StringNotLike"}};
  const auto pair = *rc::gen::elementOf(kPairs);
  const auto policy = *rc::gen::container<std::vector<std::string>>(texts());
  const auto value = *texts();
  RC_ASSERT(evaluate(pair.first, "k:x", policy, {value}) != evaluate(pair.second, "k:x", policy, {value}));
  RC_ASSERT(evaluate(pair.first, "k:absent", policy, {}) != evaluate(pair.second, "k:absent", policy, {}));
}

RC_GTEST_PROP(ConditionLaw, OrderOfValuesNeverMatters, ()) {
  const auto op = *rc::gen::elementOf(all_operators());
  auto policy = *rc::gen::container<std::vector<std::string>>(texts());
  auto request = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(texts()));
  for (const std::string& prefix : {std::string("ForAnyValue:"), std::string("ForAllValues:")}) {
    const bool before = evaluate(prefix + op, "k:list", policy, request);
    std::reverse(policy.begin(), policy.end());
    std::reverse(request.begin(), request.end());
    RC_ASSERT(evaluate(prefix + op, "k:list", policy, request) == before);
  }
}

RC_GTEST_PROP(ConditionLaw, AllValuesIsNoValueOfTheOpposite, ()) {
  const auto policy = *rc::gen::container<std::vector<std::string>>(texts());
  const auto request = *rc::gen::container<std::vector<std::string>>(texts());
  RC_ASSERT(evaluate("ForAllValues:StringEquals", "k:list", policy, request) !=
            evaluate("ForAnyValue:StringNotEquals", "k:list", policy, request));
}

}  // namespace
}  // namespace casemate::iam
