// SPDX-License-Identifier: Apache-2.0
#include "iam/trace.h"

#include <algorithm>
#include <charconv>

namespace casemate::iam {
namespace {

constexpr std::string_view kRegisterPrefix = "kms:recipientattestation:";

// Noted is a statement's trace with how close it came to applying.
struct Noted {
  StatementTrace trace;
  int closeness = 0;
};

std::string_view naming_text(Naming naming) {
  switch (naming) {
    case Naming::kAccount: return "Account";
    case Naming::kEveryone: return "Everyone";
    case Naming::kRole: return "Role";
    case Naming::kDirect: return "Direct";
    case Naming::kNone: break;
  }
  return "";
}

ConditionCheck check_condition(const Condition& condition, const RequestContext& context) {
  ConditionCheck out;
  out.op = to_string(condition.name);
  out.key = condition.key;
  for (const ConditionValue& value : condition.values) out.expected.push_back(value.text);
  if (const auto* entry = context.find(condition.folded)) out.presented.emplace(entry->values().begin(), entry->values().end());
  out.held = holds(condition, context);
  return out;
}

Noted note(const Statement& statement, std::size_t index, const AuthorizationRequest& request,
           std::string_view folded_action) {
  Noted out;
  StatementTrace& trace = out.trace;
  trace.index = index;
  trace.sid = statement.sid;
  trace.effect = statement.effect;
  const Naming naming = principal_match(statement, request.caller.principal);
  const bool action = action_match(statement, folded_action);
  if (statement.has_principal) trace.naming = naming_text(naming);
  if (naming == Naming::kNone) {
    trace.missed = "Principal";
    for (const PrincipalName& name : statement.principals) trace.expected.push_back(name.text);
    out.closeness = action ? 20 : 1;
  } else if (!action) {
    trace.missed = "Action";
    trace.expected = statement.actions;
    out.closeness = 5 + static_cast<int>(naming);
  } else if (!resource_match(statement, request.resource, request.context)) {
    trace.missed = "Resource";
    trace.expected = statement.resources;
    out.closeness = 30 + static_cast<int>(naming);
  } else {
    bool met = true;
    for (const Condition& condition : statement.conditions) {
      trace.conditions.push_back(check_condition(condition, request.context));
      met = met && trace.conditions.back().held;
    }
    if (!met) trace.missed = "Condition";
    out.closeness = (met ? 100 : 50) + static_cast<int>(naming);
  }
  return out;
}

PolicyTrace trace_policy(std::string_view type, const NamedPolicy& named, const AuthorizationRequest& request,
                         std::string_view folded_action) {
  PolicyTrace out;
  out.type = type;
  out.name = named.name;
  if (!named.policy) return out;
  std::vector<Noted> noted;
  const auto& statements = named.policy->statements;
  for (std::size_t i = 0; i < statements.size(); ++i) noted.push_back(note(statements[i], i, request, folded_action));
  if (noted.size() > kTraceStatements) {
    std::stable_sort(noted.begin(), noted.end(),
                     [](const Noted& a, const Noted& b) { return a.closeness > b.closeness; });
    out.omitted = noted.size() - kTraceStatements;
    noted.resize(kTraceStatements);
    std::sort(noted.begin(), noted.end(),
              [](const Noted& a, const Noted& b) { return a.trace.index < b.trace.index; });
  }
  for (Noted& one : noted) out.statements.push_back(std::move(one.trace));
  return out;
}

std::string_view missed_in(const Grant& grant, const AuthorizationRequest& request) {
  if (grant_match(grant, request)) return "";
  const bool arn = grant.grantee_principal.starts_with("arn:");
  const PrincipalName grantee{arn ? PrincipalKind::kAws : PrincipalKind::kService, grant.grantee_principal};
  if (naming_of(grantee, request.caller.principal) == Naming::kNone) return "Grantee";
  const std::string_view operation = request.action.substr(request.action.find(':') + 1);
  const bool listed = std::find(grant.operations.begin(), grant.operations.end(), operation) != grant.operations.end();
  return listed ? "Constraint" : "Operation";
}

int closeness_of(const StatementTrace& statement) {
  if (statement.missed.empty()) return 100;
  if (statement.missed == "Condition") {
    // A statement that names the caller says more of what was intended than one that leaves it to the account.
    return statement.naming == "Account" ? 50 : 60;
  }
  if (statement.missed == "Resource") return 30;
  if (statement.missed == "Principal") return 20;
  return 10;
}

using Position = std::optional<std::pair<std::size_t, std::size_t>>;

// closest finds, among policies of the type (all when empty), the statement of that effect that came nearest.
template <typename Accept>
Position closest(const Trace& trace, std::string_view type, Effect effect, Accept accept) {
  Position best;
  int best_closeness = 0;
  for (std::size_t p = 0; p < trace.policies.size(); ++p) {
    if (!type.empty() && trace.policies[p].type != type) continue;
    for (std::size_t s = 0; s < trace.policies[p].statements.size(); ++s) {
      const StatementTrace& statement = trace.policies[p].statements[s];
      if (statement.effect != effect || !accept(statement)) continue;
      const int closeness = closeness_of(statement);
      if (closeness > best_closeness) {
        best = {p, s};
        best_closeness = closeness;
      }
    }
  }
  return best;
}

bool is_usable(std::string_view text) {
  return text.size() == kRegisterDigits && is_hex(text);
}

// rank orders the registers by how much they say: the image first, then its signer, its parts, then where it runs.
int rank(unsigned number) {
  switch (number) {
    case 0: return 0;
    case 8: return 1;
    case 1: return 2;
    case 2: return 3;
    case 3: return 4;
    case 4: return 5;
    default: return 6;
  }
}

Cause cause_of_register(const ConditionCheck& check, unsigned number, bool document) {
  if (!check.presented) return document ? Cause::kRegisterAbsent : Cause::kNoDocument;
  const std::string_view presented = check.presented->empty() ? std::string_view{} : check.presented->front();
  const bool wildcards = check.op.find("Like") != std::string::npos || check.op.find("IgnoreCase") != std::string::npos;
  const auto& expected = check.expected;
  if (number <= 2 && is_zero(presented)) return Cause::kDebugEnclave;
  if (!expected.empty() && std::all_of(expected.begin(), expected.end(), is_zero)) return Cause::kExpectsDebugEnclave;
  if (!wildcards && std::any_of(expected.begin(), expected.end(),
                                [&](const std::string& text) { return fold(text) == fold(presented); })) {
    return Cause::kRegisterCase;
  }
  const bool like = check.op.find("Like") != std::string::npos;
  if (!like && std::none_of(expected.begin(), expected.end(), is_usable)) return Cause::kRegisterUnusable;
  switch (number) {
    case 0:
    case 1:
    case 2: return Cause::kOtherImage;
    case 3: return Cause::kRoleRegister;
    case 4: return Cause::kInstanceRegister;
    case 8: return Cause::kSignerRegister;
    default: return Cause::kOtherRegister;
  }
}

// cause_of_conditions classifies the conditions of a statement that `held` or did not.
Cause cause_of_conditions(const StatementTrace& statement, bool held, bool document) {
  Cause out = Cause::kNone;
  int best = 100;
  const auto offer = [&](Cause cause, int order) {
    if (order >= best) return;
    best = order;
    out = cause;
  };
  for (const ConditionCheck& check : statement.conditions) {
    if (check.held != held) continue;
    const std::string folded = fold(check.key);
    if (const auto number = register_of(folded)) {
      offer(cause_of_register(check, *number, document), rank(*number));
    } else if (folded.starts_with("kms:encryptioncontext")) {
      offer(Cause::kEncryptionContext, 10);
    } else {
      offer(Cause::kCondition, 11);
    }
  }
  return out;
}

void classify(Trace& trace, bool document) {
  const auto any = [](const StatementTrace&) { return true; };
  const auto applied = [](const StatementTrace& s) { return s.missed.empty(); };
  const auto only_condition = [](const StatementTrace& s) { return s.missed == "Condition"; };
  const auto statement = [&](const Position& at) -> const StatementTrace& {
    return trace.policies[at->first].statements[at->second];
  };
  if (trace.outcome == Outcome::kAllowed) {
    trace.culprit = closest(trace, "", Effect::kAllow, applied);
    return;
  }
  if (trace.outcome == Outcome::kExplicitlyDenied) {
    trace.cause = Cause::kExplicitDeny;
    trace.culprit = closest(trace, "", Effect::kDeny, applied);
    if (trace.culprit) trace.because = cause_of_conditions(statement(trace.culprit), true, document);
    // Of a Deny the condition is met: only registers say something that way round.
    if (trace.because == Cause::kCondition || trace.because == Cause::kEncryptionContext) trace.because = Cause::kNone;
    return;
  }
  if (trace.blame == Blame::kBoundary || trace.blame == Blame::kSession) {
    const bool boundary = trace.blame == Blame::kBoundary;
    trace.cause = boundary ? Cause::kBoundary : Cause::kSessionPolicy;
    trace.culprit = closest(trace, boundary ? "permissions boundary" : "session", Effect::kAllow, any);
    if (trace.culprit) trace.because = cause_of_conditions(statement(trace.culprit), false, document);
    return;
  }
  // A condition that failed in a statement meant for this caller says most, whichever type of policy AWS names.
  trace.culprit = closest(trace, "", Effect::kAllow, only_condition);
  if (trace.culprit) {
    trace.cause = cause_of_conditions(statement(trace.culprit), false, document);
    return;
  }
  if (std::any_of(trace.grants.begin(), trace.grants.end(), [](const GrantTrace& g) { return g.missed == "Constraint"; })) {
    trace.cause = Cause::kGrantConstraint;
    return;
  }
  if (trace.blame == Blame::kIdentity) {
    trace.cause = Cause::kNoIdentityPolicy;
    trace.culprit = closest(trace, "identity-based", Effect::kAllow, any);
    return;
  }
  trace.culprit = closest(trace, "resource-based", Effect::kAllow, any);
  trace.cause = Cause::kPrincipalNotNamed;
  if (!trace.culprit) return;
  if (statement(trace.culprit).missed == "Action") trace.cause = Cause::kActionNotListed;
  if (statement(trace.culprit).missed == "Resource") trace.cause = Cause::kResourceNotListed;
}

}  // namespace

std::optional<unsigned> register_of(std::string_view condition_key) {
  const std::string folded = fold(condition_key);
  if (!folded.starts_with(kRegisterPrefix)) return std::nullopt;
  std::string_view rest = std::string_view(folded).substr(kRegisterPrefix.size());
  if (rest == "imagesha384") return 0;
  if (rest.starts_with("nitrotpm")) rest.remove_prefix(8);
  if (!rest.starts_with("pcr")) return std::nullopt;
  rest.remove_prefix(3);
  unsigned number = 0;
  const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc{} || stop != rest.data() + rest.size()) return std::nullopt;
  return number;
}

Trace trace(const AuthorizationRequest& request) {
  const Decision decision = decide(request);
  const std::string action = fold(request.action);
  Trace out;
  out.outcome = decision.outcome;
  out.blame = decision.blame;
  out.principal = request.caller.principal.arn;
  out.action = request.action;
  out.resource = request.resource;
  if (request.resource_policy != nullptr) {
    out.policies.push_back(trace_policy("resource-based", *request.resource_policy, request, action));
  }
  for (const NamedPolicy& named : request.caller.identity_policies) {
    out.policies.push_back(trace_policy("identity-based", named, request, action));
  }
  if (request.caller.permissions_boundary) {
    out.policies.push_back(trace_policy("permissions boundary", *request.caller.permissions_boundary, request, action));
  }
  for (const NamedPolicy& named : request.caller.session_policies) {
    out.policies.push_back(trace_policy("session", named, request, action));
  }
  for (const Grant& grant : request.grants) {
    out.grants.push_back({grant.grant_id, std::string(missed_in(grant, request))});
    if (out.grants.size() == kTraceStatements) break;
  }
  const bool document = std::any_of(request.context.begin(), request.context.end(), [](const RequestContext::Entry& e) {
    return starts_with_ignoring_case(e.key, kRegisterPrefix);
  });
  classify(out, document);
  return out;
}

Trace trace_of(Cause cause, std::string_view detail, std::string_view principal, std::string_view action,
               std::string_view resource) {
  Trace out;
  out.cause = cause;
  out.detail = detail;
  out.principal = principal;
  out.action = action;
  out.resource = resource;
  return out;
}

}  // namespace casemate::iam
