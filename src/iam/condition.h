// SPDX-License-Identifier: Apache-2.0
// Conditions: one operator on one key, compiled, and its evaluation (IAM user guide, condition operators).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "iam/context.h"
#include "iam/pattern.h"

namespace casemate::iam {

enum class Operator : std::uint8_t {
  kStringEquals, kStringNotEquals, kStringEqualsIgnoreCase, kStringNotEqualsIgnoreCase, kStringLike, kStringNotLike,
  kNumericEquals, kNumericNotEquals, kNumericLessThan, kNumericLessThanEquals, kNumericGreaterThan,
  kNumericGreaterThanEquals,
  kDateEquals, kDateNotEquals, kDateLessThan, kDateLessThanEquals, kDateGreaterThan, kDateGreaterThanEquals,
  kBool, kBinaryEquals, kIpAddress, kNotIpAddress, kArnEquals, kArnLike, kArnNotEquals, kArnNotLike, kNull,
};

enum class Quantifier : std::uint8_t { kNone, kForAnyValue, kForAllValues };

// OperatorName is an operator with its prefix and suffix, as in `ForAnyValue:StringLikeIfExists`.
struct OperatorName {
  Operator op = Operator::kStringEquals;
  Quantifier quantifier = Quantifier::kNone;
  bool if_exists = false;
};

// parse_operator ignores case. Errors: kMalformed (no such operator, NullIfExists).
Result<OperatorName> parse_operator(std::string_view text);
std::string to_string(const OperatorName& name);
bool is_negated(Operator op);

// IpRange is an address with a prefix length; IPv4 is held as ::ffff:a.b.c.d.
struct IpRange {
  std::array<std::uint8_t, 16> address{};
  unsigned prefix = 0;
};
std::optional<IpRange> parse_ip_range(std::string_view text);

// parse_number and parse_date read what Numeric and Date operators compare; a date is ISO 8601 or seconds since 1970, as
// milliseconds.
std::optional<double> parse_number(std::string_view text);
std::optional<std::int64_t> parse_date(std::string_view text);

// ConditionValue is one value of a policy, with what could be worked out ahead.
struct ConditionValue {
  std::string text;  // as written
  Template pattern;  // String, Bool and Arn operators
  std::variant<std::monostate, bool, double, std::int64_t, IpRange, std::string> typed;  // the others; monostate: invalid
};

struct Condition {
  OperatorName name;
  std::string key;     // as written
  std::string folded;  // lower case
  std::vector<ConditionValue> values;
};

// compile_condition cannot fail for the value of a typed operator: an invalid number, date or address never matches, as
// on AWS. Errors: kMalformed (a variable that is not closed).
Result<Condition> compile_condition(const OperatorName& name, std::string_view key, const std::vector<std::string>& values,
                                    Variables variables);

// holds is whether the request meets the condition. Without the key: false for positive operators and ForAnyValue, true
// for negated ones, IfExists and ForAllValues. A multi-valued key without a quantifier, and a value of the policy or of
// the request that cannot be read, make the condition false, whatever its sense.
bool holds(const Condition& condition, const RequestContext& context);

}  // namespace casemate::iam
