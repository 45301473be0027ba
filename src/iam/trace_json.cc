// SPDX-License-Identifier: Apache-2.0
// The trace as JSON. Members that hold nothing are left out.
#include <algorithm>
#include <array>

#include "iam/trace.h"

namespace casemate::iam {
namespace {

constexpr std::array<std::pair<Cause, std::string_view>, 26> kCauses = {{
    {Cause::kNone, "None"},
    {Cause::kDebugEnclave, "DebugEnclave"},
    {Cause::kOtherImage, "OtherImage"},
    {Cause::kRoleRegister, "RoleRegister"},
    {Cause::kInstanceRegister, "InstanceRegister"},
    {Cause::kSignerRegister, "SignerRegister"},
    {Cause::kOtherRegister, "OtherRegister"},
    {Cause::kRegisterCase, "RegisterCase"},
    {Cause::kRegisterUnusable, "RegisterUnusable"},
    {Cause::kExpectsDebugEnclave, "ExpectsDebugEnclave"},
    {Cause::kNoDocument, "NoDocument"},
    {Cause::kRegisterAbsent, "RegisterAbsent"},
    {Cause::kDocumentStale, "DocumentStale"},
    {Cause::kDocumentUntrusted, "DocumentUntrusted"},
    {Cause::kDocumentInvalid, "DocumentInvalid"},
    {Cause::kEncryptionContext, "EncryptionContext"},
    {Cause::kCondition, "Condition"},
    {Cause::kPrincipalNotNamed, "PrincipalNotNamed"},
    {Cause::kActionNotListed, "ActionNotListed"},
    {Cause::kResourceNotListed, "ResourceNotListed"},
    {Cause::kNoIdentityPolicy, "NoIdentityPolicy"},
    {Cause::kBoundary, "Boundary"},
    {Cause::kSessionPolicy, "SessionPolicy"},
    {Cause::kGrantConstraint, "GrantConstraint"},
    {Cause::kExplicitDeny, "ExplicitDeny"},
    {Cause::kKeyState, "KeyState"},
}};

constexpr std::array<std::pair<Outcome, std::string_view>, 3> kOutcomes = {{
    {Outcome::kAllowed, "Allowed"},
    {Outcome::kImplicitlyDenied, "ImplicitlyDenied"},
    {Outcome::kExplicitlyDenied, "ExplicitlyDenied"},
}};

constexpr std::array<std::pair<Blame, std::string_view>, 5> kBlames = {{
    {Blame::kNone, "none"},
    {Blame::kIdentity, "identity-based"},
    {Blame::kResource, "resource-based"},
    {Blame::kBoundary, "permissions boundary"},
    {Blame::kSession, "session"},
}};

template <typename Table, typename Key>
std::string_view name_in(const Table& table, Key key) {
  const auto it = std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.first == key; });
  return it == table.end() ? std::string_view{} : it->second;
}

template <typename Key, std::size_t N>
std::optional<Key> key_in(const std::array<std::pair<Key, std::string_view>, N>& table, std::string_view name) {
  const auto it = std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.second == name; });
  if (it == table.end()) return std::nullopt;
  return it->first;
}

json::Array texts(const std::vector<std::string>& values) {
  return {values.begin(), values.end()};
}

json::Value statement_json(const StatementTrace& statement) {
  json::Object out;
  out.set("index", std::uint64_t{statement.index});
  if (!statement.sid.empty()) out.set("sid", statement.sid);
  out.set("effect", statement.effect == Effect::kAllow ? "Allow" : "Deny");
  out.set("applied", statement.missed.empty());
  if (!statement.missed.empty()) out.set("missed", statement.missed);
  if (!statement.expected.empty()) out.set("expected", texts(statement.expected));
  if (!statement.naming.empty()) out.set("principalMatch", statement.naming);
  if (statement.conditions.empty()) return out;
  json::Array conditions;
  for (const ConditionCheck& check : statement.conditions) {
    json::Object one;
    one.set("operator", check.op);
    one.set("key", check.key);
    one.set("expected", texts(check.expected));
    one.set("presented", check.presented ? json::Value(texts(*check.presented)) : json::Value());
    one.set("met", check.held);
    conditions.emplace_back(std::move(one));
  }
  out.set("conditions", std::move(conditions));
  return out;
}

// Reader takes members of one object by name; the first that is missing or of another type is the error.
class Reader {
 public:
  Reader(const json::Value& value, std::string_view where) : value_(value), where_(where) {
    if (value.if_object() == nullptr) fail("", "an object");
  }

  std::string text(std::string_view name, bool required = false) {
    const json::Value* member = value_.find(name);
    if (member == nullptr && !required) return {};
    const std::string* found = member == nullptr ? nullptr : member->if_string();
    if (found == nullptr) {
      fail(name, "a string");
      return {};
    }
    return *found;
  }
  std::size_t number(std::string_view name) {
    const std::int64_t* found = value_.int_at(name);
    if (found != nullptr && *found >= 0) return static_cast<std::size_t>(*found);
    if (value_.find(name) != nullptr) fail(name, "a number");
    return 0;
  }
  bool flag(std::string_view name) {
    const json::Value* member = value_.find(name);
    const bool* found = member == nullptr ? nullptr : member->if_bool();
    if (found == nullptr) fail(name, "a boolean");
    return found != nullptr && *found;
  }
  std::vector<std::string> text_list(std::string_view name) {
    std::vector<std::string> out;
    for (const json::Value& item : list(name)) {
      if (const std::string* found = item.if_string()) {
        out.push_back(*found);
      } else {
        fail(name, "strings");
      }
    }
    return out;
  }
  const json::Array& list(std::string_view name) {
    static const json::Array kNothing;
    const json::Value* member = value_.find(name);
    if (member == nullptr || member->is_null()) return kNothing;
    const json::Array* found = member->if_array();
    if (found != nullptr) return *found;
    fail(name, "an array");
    return kNothing;
  }
  void fail(std::string_view name, std::string_view want) {
    if (!error_) error_ = malformed("trace: {}{}{}: want {}", where_, name.empty() ? "" : ".", name, want);
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const json::Value& value_;
  std::string where_;
  std::optional<Error> error_;
};

Result<ConditionCheck> read_check(const json::Value& value) {
  Reader reader(value, "conditions");
  ConditionCheck out;
  out.op = reader.text("operator", true);
  out.key = reader.text("key", true);
  out.expected = reader.text_list("expected");
  const json::Value* presented = value.find("presented");
  if (presented != nullptr && !presented->is_null()) out.presented = reader.text_list("presented");
  out.held = reader.flag("met");
  if (reader.error()) return *reader.error();
  return out;
}

Result<StatementTrace> read_statement(const json::Value& value) {
  Reader reader(value, "statements");
  StatementTrace out;
  out.index = reader.number("index");
  out.sid = reader.text("sid");
  const std::string effect = reader.text("effect", true);
  if (effect != "Allow" && effect != "Deny") reader.fail("effect", "Allow or Deny");
  out.effect = effect == "Deny" ? Effect::kDeny : Effect::kAllow;
  out.missed = reader.text("missed");
  out.expected = reader.text_list("expected");
  out.naming = reader.text("principalMatch");
  for (const json::Value& check : reader.list("conditions")) out.conditions.push_back(TRY(read_check(check)));
  if (reader.error()) return *reader.error();
  return out;
}

Result<PolicyTrace> read_policy(const json::Value& value) {
  Reader reader(value, "policies");
  PolicyTrace out;
  out.type = reader.text("type", true);
  out.name = reader.text("name");
  out.omitted = reader.number("omittedStatements");
  for (const json::Value& statement : reader.list("statements")) out.statements.push_back(TRY(read_statement(statement)));
  if (reader.error()) return *reader.error();
  return out;
}

}  // namespace

std::string_view to_string(Cause cause) {
  return name_in(kCauses, cause);
}
std::optional<Cause> parse_cause(std::string_view text) {
  return key_in(kCauses, text);
}
std::string_view to_string(Outcome outcome) {
  return name_in(kOutcomes, outcome);
}

json::Value to_json(const Trace& trace) {
  json::Object out;
  out.set("decision", to_string(trace.outcome));
  if (trace.blame != Blame::kNone) out.set("deniedBy", name_in(kBlames, trace.blame));
  if (trace.cause != Cause::kNone) out.set("cause", to_string(trace.cause));
  if (trace.because != Cause::kNone) out.set("because", to_string(trace.because));
  if (!trace.detail.empty()) out.set("detail", trace.detail);
  out.set("principal", trace.principal);
  out.set("action", trace.action);
  out.set("resource", trace.resource);
  if (trace.culprit) {
    out.set("decisive", json::Object{{"policy", std::uint64_t{trace.culprit->first}},
                                     {"statement", std::uint64_t{trace.culprit->second}}});
  }
  json::Array policies;
  for (const PolicyTrace& policy : trace.policies) {
    json::Object one;
    one.set("type", policy.type);
    if (!policy.name.empty()) one.set("name", policy.name);
    json::Array statements;
    for (const StatementTrace& statement : policy.statements) statements.push_back(statement_json(statement));
    one.set("statements", std::move(statements));
    if (policy.omitted > 0) one.set("omittedStatements", std::uint64_t{policy.omitted});
    policies.emplace_back(std::move(one));
  }
  out.set("policies", std::move(policies));
  if (trace.grants.empty()) return out;
  json::Array grants;
  for (const GrantTrace& grant : trace.grants) {
    json::Object one{{"grantId", grant.grant_id}, {"applied", grant.missed.empty()}};
    if (!grant.missed.empty()) one.set("missed", grant.missed);
    grants.emplace_back(std::move(one));
  }
  out.set("grants", std::move(grants));
  return out;
}

Result<Trace> trace_from_json(const json::Value& value) {
  Reader reader(value, "trace");
  Trace out;
  const auto outcome = key_in(kOutcomes, reader.text("decision", true));
  if (!outcome) reader.fail("decision", "Allowed, ImplicitlyDenied or ExplicitlyDenied");
  out.outcome = outcome.value_or(Outcome::kImplicitlyDenied);
  const std::string blame = reader.text("deniedBy");
  out.blame = key_in(kBlames, blame.empty() ? "none" : blame).value_or(Blame::kNone);
  const std::string cause = reader.text("cause");
  out.cause = cause.empty() ? Cause::kNone : parse_cause(cause).value_or(Cause::kCondition);
  const std::string because = reader.text("because");
  out.because = because.empty() ? Cause::kNone : parse_cause(because).value_or(Cause::kNone);
  out.detail = reader.text("detail");
  out.principal = reader.text("principal");
  out.action = reader.text("action");
  out.resource = reader.text("resource");
  for (const json::Value& policy : reader.list("policies")) out.policies.push_back(TRY(read_policy(policy)));
  for (const json::Value& grant : reader.list("grants")) {
    Reader one(grant, "grants");
    out.grants.push_back({one.text("grantId", true), one.text("missed")});
    if (one.error()) return *one.error();
  }
  if (const json::Value* decisive = value.find("decisive")) {
    Reader at(*decisive, "decisive");
    const std::pair<std::size_t, std::size_t> culprit{at.number("policy"), at.number("statement")};
    if (at.error()) return *at.error();
    if (culprit.first >= out.policies.size() || culprit.second >= out.policies[culprit.first].statements.size()) {
      return malformed("trace: decisive: no such statement");
    }
    out.culprit = culprit;
  }
  if (reader.error()) return *reader.error();
  return out;
}

}  // namespace casemate::iam
