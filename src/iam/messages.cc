// SPDX-License-Identifier: Apache-2.0
#include "iam/messages.h"

namespace casemate::iam {
namespace {

std::string_view denying(Blame blame) {
  switch (blame) {
    case Blame::kIdentity: return "an identity-based policy";
    case Blame::kBoundary: return "a permissions boundary";
    case Blame::kSession: return "a session policy";
    case Blame::kResource:
    case Blame::kNone: break;
  }
  return "a resource-based policy";
}

std::string_view silent(Blame blame) {
  switch (blame) {
    case Blame::kIdentity: return "no identity-based policy allows";
    case Blame::kBoundary: return "no permissions boundary allows";
    case Blame::kSession: return "no session policy allows";
    case Blame::kResource:
    case Blame::kNone: break;
  }
  return "no resource-based policy allows";
}

}  // namespace

std::string access_denied_text(const Principal& caller, std::string_view action, std::string_view resource,
                               const Decision& decision) {
  const std::string start =
      fmt::format("User: {} is not authorized to perform: {} on resource: {} ", caller.arn, action, resource);
  if (decision.outcome == Outcome::kExplicitlyDenied) {
    return start + fmt::format("with an explicit deny in {}", denying(decision.blame));
  }
  return start + fmt::format("because {} the {} action", silent(decision.blame), action);
}

}  // namespace casemate::iam
