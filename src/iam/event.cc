// SPDX-License-Identifier: Apache-2.0
#include "iam/event.h"

#include "base/time_text.h"

namespace casemate::iam {
namespace {

std::string_view identity_type(PrincipalType type) {
  switch (type) {
    case PrincipalType::kRoot:
      return "Root";
    case PrincipalType::kUser:
      return "IAMUser";
    case PrincipalType::kAssumedRole:
      return "AssumedRole";
    case PrincipalType::kFederatedUser:
      return "FederatedUser";
    case PrincipalType::kService:
      return "AWSService";
    case PrincipalType::kAnonymous:
      return "Unknown";
  }
  return "Unknown";
}

json::Object user_identity(const Caller& caller) {
  const Principal& principal = caller.principal;
  json::Object out{{"type", identity_type(principal.type)},
                   {"principalId", principal.user_id},
                   {"arn", principal.arn},
                   {"accountId", principal.account},
                   {"accessKeyId", caller.access_key_id}};
  if (principal.type == PrincipalType::kUser) out.set("userName", principal.name);
  if (principal.type != PrincipalType::kAssumedRole) return out;
  json::Object session{
      {"sessionIssuer", json::Object{{"type", "Role"},
                                     {"principalId", principal.user_id.substr(0, principal.user_id.find(':'))},
                                     {"arn", principal.identity_arn},
                                     {"accountId", principal.account},
                                     {"userName", principal.name}}}};
  if (caller.token_issue_time) {
    session.set("attributes",
                json::Object{{"creationDate", format_rfc3339(*caller.token_issue_time)},
                             {"mfaAuthenticated", caller.multi_factor.value_or(false) ? "true" : "false"}});
  }
  out.set("sessionContext", std::move(session));
  return out;
}

// A header may hold any bytes; an event is UTF-8 and of bounded size.
std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 1024;
  std::string out(text.substr(0, kLongest));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

}  // namespace

json::Object event_head(const Caller& caller, const http::Request& request, std::string_view source,
                        std::string_view name, std::string_view region, WallTime now) {
  const std::string* agent = request.headers.find("user-agent");
  return {{"eventVersion", "1.11"},
          {"userIdentity", user_identity(caller)},
          {"eventTime", format_rfc3339(now)},
          {"eventSource", source},
          {"eventName", name},
          {"awsRegion", region},
          {"sourceIPAddress", request.peer},
          {"userAgent", agent == nullptr ? json::Value() : json::Value(printable(*agent))}};
}

}  // namespace casemate::iam
