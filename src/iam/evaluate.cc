// SPDX-License-Identifier: Apache-2.0
#include "iam/evaluate.h"

#include <algorithm>

namespace casemate::iam {
namespace {

// Vote is what a set of policies says: whether any statement denies, and the strongest way in which one allows.
struct Vote {
  bool denies = false;
  Naming allows = Naming::kNone;

  void add(const Policy& policy, const AuthorizationRequest& request, std::string_view folded_action) {
    for (const Statement& statement : policy.statements) {
      if (!action_match(statement, folded_action)) continue;
      const Naming naming = principal_match(statement, request.caller.principal);
      const bool counts = statement.effect == Effect::kDeny ? !denies : naming > allows;
      if (naming == Naming::kNone || !counts) continue;
      if (!resource_match(statement, request.resource, request.context)) continue;
      const bool met = std::all_of(statement.conditions.begin(), statement.conditions.end(),
                                   [&](const Condition& condition) { return holds(condition, request.context); });
      if (!met) continue;
      if (statement.effect == Effect::kDeny) {
        denies = true;
      } else {
        allows = naming;
      }
    }
  }
  bool allowed() const { return allows != Naming::kNone; }
};

Vote vote(const std::vector<NamedPolicy>& policies, const AuthorizationRequest& request, std::string_view folded_action) {
  Vote out;
  for (const NamedPolicy& named : policies) {
    if (named.policy) out.add(*named.policy, request, folded_action);
  }
  return out;
}

Decision refuse(Blame blame) {
  return {Outcome::kImplicitlyDenied, blame, {}};
}

bool is_subset(const EncryptionContext& part, const EncryptionContext& whole) {
  return std::all_of(part.begin(), part.end(), [&](const auto& pair) {
    return std::find(whole.begin(), whole.end(), pair) != whole.end();
  });
}

// Ceilings are what narrows a caller whatever allows it.
struct Ceilings {
  bool boundary = true;
  bool session = true;
};

Decision under(const Ceilings& ceilings, bool boundary_applies, bool session_applies, std::string_view grant_id = {}) {
  if (boundary_applies && !ceilings.boundary) return refuse(Blame::kBoundary);
  if (session_applies && !ceilings.session) return refuse(Blame::kSession);
  return {Outcome::kAllowed, Blame::kNone, grant_id};
}

// spares is NotPrincipal's reach in a Deny: the statement spares a caller only when its account, its role and itself
// are all listed (IAM user guide, NotPrincipal with Deny).
bool spares(const Statement& statement, const Principal& caller) {
  bool account = caller.account.empty();
  bool role = caller.type != PrincipalType::kAssumedRole;
  bool itself = false;
  for (const PrincipalName& name : statement.principals) {
    switch (naming_of(name, caller)) {
      case Naming::kEveryone: return true;
      case Naming::kAccount: account = true; break;
      case Naming::kRole: role = true; break;
      case Naming::kDirect:
        itself = true;
        if (caller.type == PrincipalType::kRoot) account = true;
        break;
      case Naming::kNone: break;
    }
  }
  return account && role && itself;
}

}  // namespace

Naming principal_match(const Statement& statement, const Principal& caller) {
  if (!statement.has_principal) return Naming::kDirect;
  if (statement.principal_sense == Sense::kNotIn && statement.effect == Effect::kDeny) {
    return spares(statement, caller) ? Naming::kNone : Naming::kEveryone;
  }
  Naming strongest = Naming::kNone;
  for (const PrincipalName& name : statement.principals) strongest = std::max(strongest, naming_of(name, caller));
  if (statement.principal_sense == Sense::kIn) return strongest;
  return strongest == Naming::kNone ? Naming::kEveryone : Naming::kNone;
}

bool action_match(const Statement& statement, std::string_view folded_action) {
  // A statement without actions has no effect, NotAction or not.
  if (statement.action_patterns.empty()) return false;
  const bool listed = std::any_of(statement.action_patterns.begin(), statement.action_patterns.end(),
                                  [&](const Pattern& pattern) { return pattern.matches(folded_action); });
  return listed == (statement.action_sense == Sense::kIn);
}

bool resource_match(const Statement& statement, std::string_view resource, const RequestContext& context) {
  if (!statement.has_resource) return false;
  bool listed = false;
  bool unresolved = false;
  for (const ResourcePattern& pattern : statement.resource_patterns) {
    const auto match = pattern.matches(resource, context);
    listed = listed || match == ResourcePattern::Match::kYes;
    unresolved = unresolved || match == ResourcePattern::Match::kUnresolved;
  }
  if (statement.resource_sense == Sense::kIn) return listed;
  return !listed && !unresolved;
}

bool grant_match(const Grant& grant, const AuthorizationRequest& request) {
  const std::size_t colon = request.action.find(':');
  const std::string_view operation = request.action.substr(colon == std::string_view::npos ? 0 : colon + 1);
  if (std::find(grant.operations.begin(), grant.operations.end(), operation) == grant.operations.end()) return false;
  const bool arn = grant.grantee_principal.starts_with("arn:");
  const PrincipalName grantee{arn ? PrincipalKind::kAws : PrincipalKind::kService, grant.grantee_principal};
  if (naming_of(grantee, request.caller.principal) == Naming::kNone) return false;
  // Constraints say nothing of operations that take no encryption context.
  if (operation == "DescribeKey" || operation == "RetireGrant") return true;
  static const EncryptionContext kEmpty;
  const EncryptionContext& presented = request.encryption_context == nullptr ? kEmpty : *request.encryption_context;
  if (grant.context_subset && !is_subset(*grant.context_subset, presented)) return false;
  return !grant.context_equals || (grant.context_equals->size() == presented.size() &&
                                   is_subset(*grant.context_equals, presented) &&
                                   is_subset(presented, *grant.context_equals));
}

Decision decide(const AuthorizationRequest& request) {
  const Caller& caller = request.caller;
  const Principal& principal = caller.principal;
  const std::string action = fold(request.action);

  Vote resource;
  if (request.resource_policy != nullptr && request.resource_policy->policy) {
    resource.add(*request.resource_policy->policy, request, action);
  }
  const Vote identity = vote(caller.identity_policies, request, action);
  Vote boundary;
  if (caller.permissions_boundary && caller.permissions_boundary->policy) {
    boundary.add(*caller.permissions_boundary->policy, request, action);
  }
  const Vote session = vote(caller.session_policies, request, action);

  const auto explicit_deny = [](Blame blame) { return Decision{Outcome::kExplicitlyDenied, blame, {}}; };
  if (resource.denies) return explicit_deny(Blame::kResource);
  if (identity.denies) return explicit_deny(Blame::kIdentity);
  if (boundary.denies) return explicit_deny(Blame::kBoundary);
  if (session.denies) return explicit_deny(Blame::kSession);

  // The root user has every permission that its account can give.
  const bool identity_allows = principal.type == PrincipalType::kRoot || identity.allowed();
  const Ceilings ceilings{!caller.permissions_boundary || boundary.allowed(),
                          caller.session_policies.empty() || session.allowed()};
  const bool accountless = principal.type == PrincipalType::kService || principal.type == PrincipalType::kAnonymous;
  const bool same_account =
      request.resource_account.empty() || (!accountless && principal.account == request.resource_account);

  if (request.authority == Authority::kIdentityOnly) {
    if (accountless || !identity_allows) return refuse(Blame::kIdentity);
    if (!same_account) return refuse(Blame::kResource);
    return under(ceilings, true, true);
  }

  const auto find_grant = [&]() -> const Grant* {
    const auto it = std::find_if(request.grants.begin(), request.grants.end(),
                                 [&](const Grant& grant) { return grant_match(grant, request); });
    return it == request.grants.end() ? nullptr : &*it;
  };

  if (accountless) {
    if (resource.allowed()) return {Outcome::kAllowed, Blame::kNone, {}};
    if (const Grant* grant = find_grant()) return {Outcome::kAllowed, Blame::kNone, grant->grant_id};
    return refuse(Blame::kResource);
  }
  if (!same_account) {
    const Grant* grant = resource.allowed() ? nullptr : find_grant();
    if (!resource.allowed() && grant == nullptr) return refuse(Blame::kResource);
    if (!identity_allows) return refuse(Blame::kIdentity);
    return under(ceilings, true, true, grant == nullptr ? std::string_view{} : std::string_view(grant->grant_id));
  }

  if (resource.allows == Naming::kDirect) {
    // A policy that names a session itself is not narrowed by what narrowed the session; one that names a user is not
    // narrowed by the user's boundary.
    const bool session_applies = principal.type == PrincipalType::kUser;
    return under(ceilings, false, session_applies);
  }
  if (resource.allows >= Naming::kEveryone) return under(ceilings, true, true);
  if (identity_allows && (resource.allowed() || request.authority == Authority::kEither)) {
    return under(ceilings, true, true);
  }
  if (const Grant* grant = find_grant()) {
    const bool to_account = naming_of({PrincipalKind::kAws, grant->grantee_principal}, principal) == Naming::kAccount;
    if (!to_account || identity_allows) return under(ceilings, true, true, grant->grant_id);
    return refuse(Blame::kIdentity);
  }
  return refuse(resource.allowed() || request.authority == Authority::kEither ? Blame::kIdentity : Blame::kResource);
}

bool locks_out(const NamedPolicy& key_policy, const Caller& caller, std::string_view key_arn,
               std::string_view key_account, const RequestContext& context) {
  AuthorizationRequest request{caller, "kms:PutKeyPolicy", key_arn, key_account, context};
  request.resource_policy = &key_policy;
  return !decide(request).allowed();
}

}  // namespace casemate::iam
