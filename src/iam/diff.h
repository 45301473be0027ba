// SPDX-License-Identifier: Apache-2.0
// The difference of two policies in what they do: which requests become allowed or denied.
#pragma once

#include <string>
#include <vector>

#include "iam/policy.h"

namespace casemate::iam {

enum class Becomes { kAllowed, kDenied };

// Change is a set of requests that the two policies decide differently.
struct Change {
  Becomes becomes = Becomes::kAllowed;
  std::string principal;  // an ARN, or words for a class of callers
  std::vector<std::string> actions;
  std::string resource;
  std::vector<std::string> when;  // what the request must have; empty: nothing in particular
};

// Difference: `complete` is false when conditions have so many combinations that not all were tried.
struct Difference {
  std::vector<Change> changes;
  bool complete = true;
};

// diff_policies decides one request of each kind that either policy tells apart, under both: every principal that is
// named and one that is not, every action of KMS (and of STS, and any that is written out), resources that fit each
// pattern, and condition keys that are absent, equal to a value of the policy, and neither. Policies that differ only in
// form have no difference. `account` is that of the resource.
Difference diff_policies(const Policy& before, const Policy& after, PolicyType type, const std::string& account);

}  // namespace casemate::iam
