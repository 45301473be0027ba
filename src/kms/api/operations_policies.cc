// SPDX-License-Identifier: Apache-2.0
// Key policies. A key has exactly one, named `default`.
#include "iam/messages.h"
#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

constexpr std::string_view kOnlyName = "default";

}  // namespace

Outcome<iam::PolicyPtr> check_key_policy(const Call& call, std::string_view text) {
  const iam::PolicyLimits limits;
  if (text.size() > limits.bytes) {
    return fault(FaultKind::kLimitExceeded,
                 fmt::format("The key policy has {} bytes, at most {}.", text.size(), limits.bytes));
  }
  const auto malformed_policy = [](const iam::PolicyDefect& defect) {
    Fault refused = fault(FaultKind::kMalformedPolicy, defect.aws_text);
    refused.detail = defect.error().message();
    return refused;
  };
  auto checked = iam::check_policy(text, iam::PolicyType::kResource, limits);
  if (const auto* defect = std::get_if<iam::PolicyDefect>(&checked)) return malformed_policy(*defect);
  const auto& policy = std::get<iam::PolicyPtr>(checked);
  if (const auto defect = iam::find_invalid_principal(*policy, call.options().principal_exists))
    return malformed_policy(*defect);
  return policy;
}

Outcome<void> check_lock_out(Call& call, const iam::PolicyPtr& policy, std::string_view arn, const Realm& owner) {
  if (call.input().flag("BypassPolicyLockoutSafetyCheck")) return {};
  if (!iam::locks_out({std::string(arn), policy}, call.caller(), arn, owner.account, call.context())) return {};
  return fault(FaultKind::kMalformedPolicy, std::string(iam::kLockOutText));
}

Outcome<Answer> get_key_policy(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("GetKeyPolicy", located));
  if (call.input().text_or("PolicyName", kOnlyName) != kOnlyName)
    return fault(FaultKind::kNotFound, "No such policy exists");
  return Answer(json::Object{{"Policy", located.record->key.policy}, {"PolicyName", kOnlyName}});
}

Outcome<Answer> put_key_policy(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  call.context().set_bool("kms:BypassPolicyLockoutSafetyCheck", call.input().flag("BypassPolicyLockoutSafetyCheck"));
  TRY(call.authorize("PutKeyPolicy", located));
  if (call.input().text_or("PolicyName", kOnlyName) != kOnlyName)
    return silent_fault(FaultKind::kUnsupported, "a policy name other than default");
  const std::string& text = *call.input().text("Policy");
  const iam::PolicyPtr policy = TRY(check_key_policy(call, text));
  TRY(check_lock_out(call, policy, located.record->arn, located.record->key.realm));
  TRY(call.keyring().set_policy(*located.record, text));
  return Answer{};
}

Outcome<Answer> list_key_policies(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("ListKeyPolicies", located));
  const PageRequest page = TRY(read_page(call, 100, 1000));
  json::Array names;
  if (page.after < kOnlyName) names.emplace_back(kOnlyName);
  json::Object answer{{"PolicyNames", std::move(names)}};
  end_page(answer, false, {});
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
