// SPDX-License-Identifier: Apache-2.0
// Principals: who makes a request, and the forms in which policies name them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "iam/arn.h"

namespace casemate::iam {

enum class PrincipalType { kRoot, kUser, kAssumedRole, kFederatedUser, kService, kAnonymous };

// to_string gives aws:PrincipalType's values: Account, User, AssumedRole, FederatedUser, Service, Anonymous.
std::string_view to_string(PrincipalType type);

using Tags = std::vector<std::pair<std::string, std::string>>;

// Principal is made by the functions below, which keep its fields consistent.
struct Principal {
  PrincipalType type = PrincipalType::kAnonymous;
  std::string partition = "aws";
  std::string account;       // empty for services and anonymous callers
  std::string arn;           // as GetCallerIdentity and error texts show it; a service's is its name
  std::string identity_arn;  // aws:PrincipalArn: the role's ARN for a session, else `arn`
  std::string user_id;       // aws:userid: AIDA..., AROA...:session, or the account for root
  std::string name;          // user, role or federated name; the service's name
  std::string session_name;  // of an assumed role
  Tags tags;                 // aws:PrincipalTag/*: session tags over the identity's own
};

Principal root_user(std::string_view account, std::string_view partition = "aws");
// `path` begins and ends with a slash.
Principal user(std::string_view account, std::string_view path, std::string_view name, std::string_view user_id,
               Tags tags = {}, std::string_view partition = "aws");
Principal assumed_role(std::string_view account, std::string_view path, std::string_view role_name,
                       std::string_view role_id, std::string_view session_name, Tags tags = {},
                       std::string_view partition = "aws");
Principal federated_user(std::string_view account, std::string_view name, Tags tags = {},
                         std::string_view partition = "aws");
Principal service(std::string_view name);
Principal anonymous();

// principal_of makes a principal of its ARN alone (a bare account id is its root; a role's ARN stands for a session of
// it; a service's name is itself): for simulation and tests, since ids and tags are invented. Errors: kMalformed.
Result<Principal> principal_of(std::string_view text);

// Naming says how a policy's principal names a caller. Order: stronger is later.
enum class Naming {
  kNone,
  kAccount,   // the caller's account: the policy delegates to identity policies there (for root itself it is kDirect)
  kEveryone,  // `*`
  kRole,      // the role of a session
  kDirect,    // exactly this user, session, service or root
};

enum class PrincipalKind { kAny, kAws, kService, kFederated, kCanonicalUser };

// PrincipalName is one value of a Principal or NotPrincipal element.
struct PrincipalName {
  PrincipalKind kind = PrincipalKind::kAny;
  std::string text;  // as written; `*` for kAny
};

// naming_of compares one policy principal with a caller. A role session is named by its role's ARN whatever the role's
// path, since the session's ARN has none.
Naming naming_of(const PrincipalName& name, const Principal& caller);

// check_principal_name is the shape that key and trust policies accept: `*`, account id, ARN of root, user, role, session
// or federated user; a service's name; groups and wildcards within are refused. Errors: kMalformed.
Result<void> check_principal_name(const PrincipalName& name);

}  // namespace casemate::iam
