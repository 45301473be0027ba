// SPDX-License-Identifier: Apache-2.0
// Caller: an authenticated principal with all the policies that bound it; what signature verification yields.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/message.h"
#include "iam/context.h"
#include "iam/policy.h"
#include "iam/principal.h"
#include "sigv4/sigv4.h"

namespace casemate::iam {

// NamedPolicy is a policy and the name by which traces speak of it.
struct NamedPolicy {
  std::string name;
  PolicyPtr policy;
};

struct Caller {
  Principal principal;
  std::string access_key_id;
  std::vector<NamedPolicy> identity_policies;     // of the user, its groups or the role; inline and managed
  std::optional<NamedPolicy> permissions_boundary;
  std::vector<NamedPolicy> session_policies;      // empty: the session is not narrowed
  std::optional<WallTime> token_issue_time;       // of temporary credentials
  std::optional<bool> multi_factor;               // of temporary credentials
  std::vector<std::string> transitive_tag_keys;   // session tags that go on to the next role of a chain
  std::string source_identity;                    // empty: none
};

// Callers are shared by the sessions that look the same key up at once.
using CallerPtr = std::shared_ptr<const Caller>;
using CredentialSource = sigv4::CredentialSource<CallerPtr>;

// add_caller_keys sets aws:PrincipalArn, PrincipalAccount, PrincipalType, userid, username, PrincipalTag/*,
// TokenIssueTime, MultiFactorAuthPresent and SourceIdentity.
void add_caller_keys(RequestContext& context, const Caller& caller);

// add_request_keys sets aws:SourceIp, SecureTransport, CurrentTime, EpochTime, RequestedRegion, UserAgent and
// ViaAWSService (false).
void add_request_keys(RequestContext& context, const http::Request& request, std::string_view region, WallTime now);

}  // namespace casemate::iam
