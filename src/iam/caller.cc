// SPDX-License-Identifier: Apache-2.0
#include "iam/caller.h"

namespace casemate::iam {

void add_caller_keys(RequestContext& context, const Caller& caller) {
  const Principal& principal = caller.principal;
  context.set("aws:PrincipalArn", principal.identity_arn);
  context.set("aws:PrincipalType", to_string(principal.type));
  context.set("aws:userid", principal.user_id);
  if (!principal.account.empty()) context.set("aws:PrincipalAccount", principal.account);
  if (principal.type == PrincipalType::kUser) context.set("aws:username", principal.name);
  if (principal.type == PrincipalType::kService) {
    context.set("aws:PrincipalServiceName", principal.name);
    context.set_bool("aws:PrincipalIsAWSService", true);
  } else {
    context.set_bool("aws:PrincipalIsAWSService", false);
  }
  for (const auto& [key, value] : principal.tags) context.set("aws:PrincipalTag/" + key, value);
  if (caller.token_issue_time) context.set_time("aws:TokenIssueTime", *caller.token_issue_time);
  if (!caller.source_identity.empty()) context.set("aws:SourceIdentity", caller.source_identity);
  if (caller.multi_factor) context.set_bool("aws:MultiFactorAuthPresent", *caller.multi_factor);
}

void add_request_keys(RequestContext& context, const http::Request& request, std::string_view region, WallTime now) {
  if (!request.peer.empty()) context.set("aws:SourceIp", request.peer);
  context.set_bool("aws:SecureTransport", request.secure);
  context.set_time("aws:CurrentTime", now);
  context.set_number("aws:EpochTime", std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  context.set("aws:RequestedRegion", region);
  context.set_bool("aws:ViaAWSService", false);
  if (const std::string* agent = request.headers.find("user-agent")) context.set("aws:UserAgent", *agent);
}

}  // namespace casemate::iam
