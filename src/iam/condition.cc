// SPDX-License-Identifier: Apache-2.0
#include "iam/condition.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/encoding.h"
#include "base/text.h"
#include "base/time_text.h"

namespace casemate::iam {
namespace {

enum class Family { kString, kNumeric, kDate, kBool, kBinary, kIp, kArn, kNull };

struct OperatorInfo {
  Operator op;
  std::string_view name;
  Family family;
  bool negated;
};

constexpr std::array<OperatorInfo, 27> kOperators = {{
    {Operator::kStringEquals, "StringEquals", Family::kString, false},
    {Operator::kStringNotEquals, "StringNotEquals", Family::kString, true},
    {Operator::kStringEqualsIgnoreCase, "StringEqualsIgnoreCase", Family::kString, false},
    {Operator::kStringNotEqualsIgnoreCase, "StringNotEqualsIgnoreCase", Family::kString, true},
    {Operator::kStringLike, "StringLike", Family::kString, false},
    {Operator::kStringNotLike, "StringNotLike", Family::kString, true},
    {Operator::kNumericEquals, "NumericEquals", Family::kNumeric, false},
    {Operator::kNumericNotEquals, "NumericNotEquals", Family::kNumeric, true},
    {Operator::kNumericLessThan, "NumericLessThan", Family::kNumeric, false},
    {Operator::kNumericLessThanEquals, "NumericLessThanEquals", Family::kNumeric, false},
    {Operator::kNumericGreaterThan, "NumericGreaterThan", Family::kNumeric, false},
    {Operator::kNumericGreaterThanEquals, "NumericGreaterThanEquals", Family::kNumeric, false},
    {Operator::kDateEquals, "DateEquals", Family::kDate, false},
    {Operator::kDateNotEquals, "DateNotEquals", Family::kDate, true},
    {Operator::kDateLessThan, "DateLessThan", Family::kDate, false},
    {Operator::kDateLessThanEquals, "DateLessThanEquals", Family::kDate, false},
    {Operator::kDateGreaterThan, "DateGreaterThan", Family::kDate, false},
    {Operator::kDateGreaterThanEquals, "DateGreaterThanEquals", Family::kDate, false},
    {Operator::kBool, "Bool", Family::kBool, false},
    {Operator::kBinaryEquals, "BinaryEquals", Family::kBinary, false},
    {Operator::kIpAddress, "IpAddress", Family::kIp, false},
    {Operator::kNotIpAddress, "NotIpAddress", Family::kIp, true},
    {Operator::kArnEquals, "ArnEquals", Family::kArn, false},
    {Operator::kArnLike, "ArnLike", Family::kArn, false},
    {Operator::kArnNotEquals, "ArnNotEquals", Family::kArn, true},
    {Operator::kArnNotLike, "ArnNotLike", Family::kArn, true},
    {Operator::kNull, "Null", Family::kNull, false},
}};

const OperatorInfo& info_of(Operator op) {
  return kOperators[static_cast<std::size_t>(op)];
}

std::optional<bool> parse_bool(std::string_view text) {
  if (equal_ignoring_case(text, "true")) return true;
  if (equal_ignoring_case(text, "false")) return false;
  return std::nullopt;
}

template <typename T>
bool compare(Operator op, T presented, T wanted) {
  switch (op) {
    case Operator::kNumericLessThan:
    case Operator::kDateLessThan: return presented < wanted;
    case Operator::kNumericLessThanEquals:
    case Operator::kDateLessThanEquals: return presented <= wanted;
    case Operator::kNumericGreaterThan:
    case Operator::kDateGreaterThan: return presented > wanted;
    case Operator::kNumericGreaterThanEquals:
    case Operator::kDateGreaterThanEquals: return presented >= wanted;
    default: return presented == wanted;
  }
}

bool in_range(const IpRange& range, const IpRange& presented) {
  unsigned bits = range.prefix;
  for (std::size_t i = 0; i < range.address.size() && bits > 0; ++i) {
    const unsigned take = std::min(bits, 8U);
    const auto mask = static_cast<std::uint8_t>(0xFF << (8 - take));
    if ((range.address[i] & mask) != (presented.address[i] & mask)) return false;
    bits -= take;
  }
  return true;
}

enum class Match { kNo, kYes, kInvalid };

Match verdict(bool matched) {
  return matched ? Match::kYes : Match::kNo;
}

Match match_text(Operator op, std::string_view wanted, std::string_view presented) {
  switch (op) {
    case Operator::kStringLike:
    case Operator::kStringNotLike: return verdict(match_wildcards(wanted, presented));
    case Operator::kStringEqualsIgnoreCase:
    case Operator::kStringNotEqualsIgnoreCase: return verdict(equal_ignoring_case(wanted, presented));
    case Operator::kBool: {
      const auto want = parse_bool(wanted);
      const auto have = parse_bool(presented);
      return want && have ? verdict(*want == *have) : Match::kInvalid;
    }
    case Operator::kArnEquals:
    case Operator::kArnLike:
    case Operator::kArnNotEquals:
    case Operator::kArnNotLike:
      if (std::count(wanted.begin(), wanted.end(), ':') < 5 || std::count(presented.begin(), presented.end(), ':') < 5) {
        return Match::kInvalid;
      }
      return verdict(match_arn(wanted, presented, ArnShape::kComplete));
    default: return verdict(wanted == presented);
  }
}

// Reading is the request's value as the operator's family reads it, worked out once for all values of the policy.
struct Reading {
  std::string_view text;
  std::optional<double> number;
  std::optional<std::int64_t> date;
  std::optional<IpRange> address;
  std::string binary;
};

std::optional<Reading> read(Family family, std::string_view text) {
  Reading out;
  out.text = text;
  switch (family) {
    case Family::kNumeric:
      out.number = parse_number(text);
      if (!out.number) return std::nullopt;
      break;
    case Family::kDate:
      out.date = parse_date(text);
      if (!out.date) return std::nullopt;
      break;
    case Family::kIp:
      out.address = parse_ip_range(text);
      if (!out.address) return std::nullopt;
      break;
    case Family::kBinary: {
      auto bytes = decode_base64(text);
      if (!bytes) return std::nullopt;
      out.binary = as_text(*bytes);
      break;
    }
    default: break;
  }
  return out;
}

Match match_value(Operator op, const ConditionValue& value, const Reading& reading, const RequestContext& context) {
  switch (info_of(op).family) {
    case Family::kNumeric:
      if (const auto* wanted = std::get_if<double>(&value.typed)) return verdict(compare(op, *reading.number, *wanted));
      return Match::kInvalid;
    case Family::kDate:
      if (const auto* wanted = std::get_if<std::int64_t>(&value.typed)) return verdict(compare(op, *reading.date, *wanted));
      return Match::kInvalid;
    case Family::kIp:
      if (const auto* wanted = std::get_if<IpRange>(&value.typed)) return verdict(in_range(*wanted, *reading.address));
      return Match::kInvalid;
    case Family::kBinary:
      if (const auto* wanted = std::get_if<std::string>(&value.typed)) return verdict(*wanted == reading.binary);
      return Match::kInvalid;
    default: break;
  }
  if (!value.pattern.has_variables()) return match_text(op, value.pattern.fixed(), reading.text);
  const auto expanded = value.pattern.expand(context);
  return expanded ? match_text(op, *expanded, reading.text) : Match::kInvalid;
}

// holds_for is whether one value of the request meets the condition. An invalid value of the policy matches nothing, and
// spoils a negated operator: it cannot be said that the two differ.
bool holds_for(const Condition& condition, const OperatorInfo& info, std::string_view presented,
               const RequestContext& context) {
  const auto reading = read(info.family, presented);
  if (!reading) return false;
  for (const ConditionValue& value : condition.values) {
    const Match match = match_value(condition.name.op, value, *reading, context);
    if (info.negated && match != Match::kNo) return false;
    if (!info.negated && match == Match::kYes) return true;
  }
  return info.negated;
}

bool holds_null(const Condition& condition, bool present) {
  return std::any_of(condition.values.begin(), condition.values.end(), [&](const ConditionValue& value) {
    const bool* absent = std::get_if<bool>(&value.typed);
    return absent != nullptr && *absent != present;
  });
}

}  // namespace

Result<OperatorName> parse_operator(std::string_view text) {
  constexpr std::string_view kAny = "foranyvalue:";
  constexpr std::string_view kAll = "forallvalues:";
  constexpr std::string_view kSuffix = "ifexists";
  const std::string folded = fold(text);
  std::string_view rest = folded;
  OperatorName out;
  if (rest.starts_with(kAny)) {
    out.quantifier = Quantifier::kForAnyValue;
    rest.remove_prefix(kAny.size());
  } else if (rest.starts_with(kAll)) {
    out.quantifier = Quantifier::kForAllValues;
    rest.remove_prefix(kAll.size());
  }
  if (rest.ends_with(kSuffix)) {
    out.if_exists = true;
    rest.remove_suffix(kSuffix.size());
  }
  for (const OperatorInfo& info : kOperators) {
    if (!equal_ignoring_case(info.name, rest)) continue;
    if (info.op == Operator::kNull && out.if_exists) return malformed("NullIfExists is no condition operator");
    out.op = info.op;
    return out;
  }
  return malformed("no such condition operator");
}

std::string to_string(const OperatorName& name) {
  std::string out;
  if (name.quantifier == Quantifier::kForAnyValue) out = "ForAnyValue:";
  if (name.quantifier == Quantifier::kForAllValues) out = "ForAllValues:";
  out += info_of(name.op).name;
  if (name.if_exists) out += "IfExists";
  return out;
}

bool is_negated(Operator op) {
  return info_of(op).negated;
}

std::optional<IpRange> parse_ip_range(std::string_view text) {
  constexpr unsigned kMapped = 96;  // bits before an IPv4 address in ::ffff:a.b.c.d
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  IpRange out;
  std::array<std::uint8_t, 4> v4{};
  unsigned base = 0;
  if (::inet_pton(AF_INET, address.c_str(), v4.data()) == 1) {
    out.address[10] = out.address[11] = 0xFF;
    std::copy(v4.begin(), v4.end(), out.address.begin() + 12);
    base = kMapped;
  } else if (::inet_pton(AF_INET6, address.c_str(), out.address.data()) != 1) {
    return std::nullopt;
  }
  out.prefix = 128;
  if (slash == std::string_view::npos) return out;
  const std::string_view digits = text.substr(slash + 1);
  unsigned prefix = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc{} || stop != digits.data() + digits.size() || prefix > 128 - base) return std::nullopt;
  out.prefix = base + prefix;
  return out;
}

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (text.empty() || error != std::errc{} || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (digits) {
    constexpr double kMostSeconds = 1e14;
    const auto seconds = parse_number(text);
    if (!seconds || *seconds > kMostSeconds) return std::nullopt;
    return static_cast<std::int64_t>(*seconds * 1000);
  }
  std::string whole(text);
  if (whole.size() == 10) whole += "T00:00:00Z";
  if (whole.size() == 17 && whole.back() == 'Z') whole.insert(16, ":00");
  const auto time = parse_rfc3339(whole);
  if (!time) return std::nullopt;
  return time->time_since_epoch().count();
}

Result<Condition> compile_condition(const OperatorName& name, std::string_view key, const std::vector<std::string>& values,
                                    Variables variables) {
  const OperatorInfo& info = info_of(name.op);
  const bool like = name.op == Operator::kStringLike || name.op == Operator::kStringNotLike || info.family == Family::kArn;
  Condition out{name, std::string(key), fold(key), {}};
  out.values.reserve(values.size());
  for (const std::string& text : values) {
    ConditionValue& value = out.values.emplace_back();
    value.text = text;
    switch (info.family) {
      case Family::kNumeric:
        if (const auto number = parse_number(text)) value.typed = *number;
        continue;
      case Family::kDate:
        if (const auto date = parse_date(text)) value.typed = *date;
        continue;
      case Family::kIp:
        if (const auto range = parse_ip_range(text)) value.typed = *range;
        continue;
      case Family::kBinary:
        if (const auto bytes = decode_base64(text)) value.typed = std::string(as_text(*bytes));
        continue;
      case Family::kNull:
        if (const auto flag = parse_bool(text)) value.typed = *flag;
        continue;
      case Family::kString:
      case Family::kBool:
      case Family::kArn: break;
    }
    auto compiled = Template::compile(text, like ? Wildcards::kActive : Wildcards::kLiteral, variables);
    if (!compiled) return malformed("a policy variable that is empty, not closed or has a default without quotes");
    value.pattern = std::move(*compiled);
  }
  return out;
}

bool holds(const Condition& condition, const RequestContext& context) {
  const OperatorInfo& info = info_of(condition.name.op);
  const RequestContext::Entry* entry = context.find(condition.folded);
  if (info.op == Operator::kNull) return holds_null(condition, entry != nullptr);
  if (entry == nullptr) {
    if (condition.name.if_exists) return true;
    if (condition.name.quantifier == Quantifier::kForAnyValue) return false;
    return condition.name.quantifier == Quantifier::kForAllValues || info.negated;
  }
  const auto meets = [&](const std::string& value) { return holds_for(condition, info, value, context); };
  switch (condition.name.quantifier) {
    case Quantifier::kForAnyValue: return std::any_of(entry->values().begin(), entry->values().end(), meets);
    case Quantifier::kForAllValues: return std::all_of(entry->values().begin(), entry->values().end(), meets);
    case Quantifier::kNone: break;
  }
  return !entry->list && meets(entry->values().front());
}

}  // namespace casemate::iam
