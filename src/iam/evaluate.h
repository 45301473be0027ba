// SPDX-License-Identifier: Apache-2.0
// The decision: may this caller do this action on this resource (IAM policy evaluation logic; KMS key access). Pure and
// quick; why it came out so is trace.h, worked out only when asked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "iam/caller.h"
#include "iam/context.h"
#include "iam/policy.h"

namespace casemate::iam {

using EncryptionContext = std::vector<std::pair<std::string, std::string>>;

// Grant is a KMS grant as far as it decides: live, on the key in question.
struct Grant {
  std::string grant_id;
  std::string grantee_principal;
  std::vector<std::string> operations;  // `Decrypt`, without prefix
  std::optional<EncryptionContext> context_equals;
  std::optional<EncryptionContext> context_subset;
};

// Authority says whose word a resource needs.
enum class Authority {
  kResourcePolicy,   // a KMS key: its policy must allow, itself or by delegating to the account
  kIdentityOnly,     // no resource policy exists (kms:CreateKey, aliases, most of IAM)
  kEither,           // other services with resource policies: in one account either allows
};

// AuthorizationRequest views its parts: they must outlive the call.
struct AuthorizationRequest {
  const Caller& caller;
  std::string_view action;            // `kms:Decrypt`
  std::string_view resource;          // ARN, or `*` for actions without resource
  std::string_view resource_account;  // of the resource's owner
  const RequestContext& context;
  Authority authority = Authority::kResourcePolicy;
  const NamedPolicy* resource_policy = nullptr;
  std::span<const Grant> grants = {};
  const EncryptionContext* encryption_context = nullptr;  // of the request, for grants' constraints
};

enum class Outcome { kAllowed, kImplicitlyDenied, kExplicitlyDenied };

// Blame is the type of policy that an AccessDenied text names.
enum class Blame { kNone, kIdentity, kResource, kBoundary, kSession };

struct Decision {
  Outcome outcome = Outcome::kImplicitlyDenied;
  Blame blame = Blame::kNone;
  std::string_view grant_id;  // of the grant that allowed, if one was needed

  bool allowed() const { return outcome == Outcome::kAllowed; }
};

Decision decide(const AuthorizationRequest& request);

// locks_out is KMS's safety check: whether a key that had this policy could no longer be given another by `caller`
// (kms:PutKeyPolicy, its identity policies considered).
bool locks_out(const NamedPolicy& key_policy, const Caller& caller, std::string_view key_arn,
               std::string_view key_account, const RequestContext& context);

// Matching of single parts, shared with the trace.
Naming principal_match(const Statement& statement, const Principal& caller);
bool action_match(const Statement& statement, std::string_view folded_action);
bool resource_match(const Statement& statement, std::string_view resource, const RequestContext& context);
bool grant_match(const Grant& grant, const AuthorizationRequest& request);

}  // namespace casemate::iam
