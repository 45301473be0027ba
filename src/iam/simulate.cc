// SPDX-License-Identifier: Apache-2.0
#include "iam/simulate.h"

#include <algorithm>

#include "iam/trace.h"

namespace casemate::iam {
namespace {

constexpr std::size_t kPolicies = 64;

Result<std::string> text_of(const json::Value& value, std::string_view name) {
  const json::Value* member = value.find(name);
  if (member == nullptr) return malformed("{}: missing", name);
  const std::string* text = member->if_string();
  if (text == nullptr) return malformed("{}: a {}, want a string", name, member->type_name());
  return *text;
}

Result<NamedPolicy> read_policy(const json::Value& value, PolicyType type, std::string name) {
  const json::Value* document = &value;
  if (const json::Value* inner = value.find("policy")) {
    document = inner;
    if (const std::string* own = value.string_at("name")) name = *own;
  }
  // A document may also be given as the text that AWS calls take.
  const std::string* text = document->if_string();
  PolicyPtr policy = TRY(parse_policy(text == nullptr ? json::encode(*document) : *text, type));
  return NamedPolicy{std::move(name), std::move(policy)};
}

Result<std::vector<NamedPolicy>> read_policies(const json::Value& input, std::string_view member, PolicyType type) {
  std::vector<NamedPolicy> out;
  const json::Value* value = input.find(member);
  if (value == nullptr || value->is_null()) return out;
  const json::Array* list = value->if_array();
  const std::size_t count = list == nullptr ? 1 : list->size();
  if (count > kPolicies) return over_limit("{}: {} policies, at most {}", member, count, kPolicies);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = list == nullptr ? std::string(member) : fmt::format("{}[{}]", member, i);
    out.push_back(TRY(read_policy(list == nullptr ? *value : (*list)[i], type, name).in(name)));
  }
  return out;
}

Result<std::optional<NamedPolicy>> read_one(const json::Value& input, std::string_view member, PolicyType type) {
  auto list = TRY(read_policies(input, member, type));
  if (list.size() > 1) return malformed("{}: {} policies, want one", member, list.size());
  if (list.empty()) return std::optional<NamedPolicy>();
  return std::optional<NamedPolicy>(std::move(list.front()));
}

Result<void> read_context(RequestContext& out, const json::Value& value) {
  const json::Object* object = value.if_object();
  if (object == nullptr) return malformed("context: a {}, want an object", value.type_name());
  const auto scalar = [](const json::Value& item) -> std::optional<std::string> {
    if (const std::string* text = item.if_string()) return *text;
    if (const bool* flag = item.if_bool()) return *flag ? "true" : "false";
    if (item.is_number()) return json::encode(item);
    return std::nullopt;
  };
  for (const auto& [key, item] : *object) {
    const json::Array* list = item.if_array();
    std::vector<std::string> values;
    for (std::size_t i = 0; i < (list == nullptr ? 1 : list->size()); ++i) {
      auto text = scalar(list == nullptr ? item : (*list)[i]);
      if (!text) return malformed("context.{}: want a string or an array of strings", key.substr(0, 128));
      values.push_back(std::move(*text));
    }
    if (list == nullptr) {
      out.set(key, values.front());
    } else {
      out.set_list(key, std::move(values));
    }
  }
  return {};
}

Result<EncryptionContext> read_pairs(const json::Value& value) {
  const json::Object* object = value.if_object();
  if (object == nullptr) return malformed("a {}, want an object", value.type_name());
  EncryptionContext out;
  for (const auto& [key, item] : *object) {
    const std::string* text = item.if_string();
    if (text == nullptr) return malformed("{}: want a string", key.substr(0, 128));
    out.emplace_back(key, *text);
  }
  return out;
}

Result<Grant> read_grant(const json::Value& value, std::size_t index) {
  Grant out;
  const std::string* id = value.string_at("grantId");
  out.grant_id = id == nullptr ? fmt::format("grants[{}]", index) : *id;
  out.grantee_principal = TRY(text_of(value, "granteePrincipal"));
  const json::Value* operations = value.find("operations");
  const json::Array* list = operations == nullptr ? nullptr : operations->if_array();
  if (list == nullptr) return malformed("operations: want an array of strings");
  for (const json::Value& item : *list) {
    const std::string* text = item.if_string();
    if (text == nullptr) return malformed("operations: want an array of strings");
    out.operations.push_back(*text);
  }
  const json::Value* constraints = value.find("constraints");
  if (constraints == nullptr) return out;
  if (const json::Value* pairs = constraints->find("encryptionContextSubset")) {
    out.context_subset = TRY(read_pairs(*pairs).in("constraints.encryptionContextSubset"));
  }
  if (const json::Value* pairs = constraints->find("encryptionContextEquals")) {
    out.context_equals = TRY(read_pairs(*pairs).in("constraints.encryptionContextEquals"));
  }
  return out;
}

// encryption_context_of undoes the mapping of an encryption context to condition keys.
EncryptionContext encryption_context_of(const RequestContext& context) {
  constexpr std::string_view kPrefix = "kms:encryptioncontext:";
  EncryptionContext out;
  for (const auto& entry : context) {
    if (!starts_with_ignoring_case(entry.key, kPrefix) || entry.values().empty()) continue;
    out.emplace_back(entry.key.substr(kPrefix.size()), entry.values().front());
  }
  return out;
}

struct Target {
  std::string resource;
  std::string account;
};

Result<Target> read_target(const json::Value& request, const Principal& principal) {
  Target out;
  const json::Value* value = request.find("resource");
  if (value != nullptr && value->if_object() != nullptr) {
    out.resource = TRY(text_of(*value, "resource").in("resource"));
    if (const std::string* account = value->string_at("accountId")) out.account = *account;
  } else {
    out.resource = TRY(text_of(request, "resource"));
  }
  if (out.account.empty()) {
    const auto arn = parse_arn(out.resource);
    out.account = arn && is_account_id(arn->account) ? std::string(arn->account) : principal.account;
  }
  return out;
}

Authority authority_of(std::string_view action, std::string_view resource, bool has_policy) {
  const std::string folded = fold(action);
  const auto arn = parse_arn(resource);
  const bool key = arn && arn->service == "kms" && arn->resource.starts_with("key/");
  if (key || (has_policy && folded.starts_with("sts:assumerole"))) return Authority::kResourcePolicy;
  // No key policy speaks about actions without a key, nor about aliases.
  return has_policy && !folded.starts_with("kms:") ? Authority::kEither : Authority::kIdentityOnly;
}

}  // namespace

Result<json::Value> simulate(const json::Value& input) {
  const json::Value* request = input.find("request");
  if (request == nullptr || request->if_object() == nullptr) return malformed("request: want an object");
  Caller caller;
  const std::string principal = TRY(text_of(*request, "principal").in("request"));
  caller.principal = TRY(principal_of(principal).in("request.principal"));
  const std::string action = TRY(text_of(*request, "action").in("request"));
  if (action.find(':') == std::string::npos) return malformed("request.action: want service:Name");
  const Target target = TRY(read_target(*request, caller.principal).in("request"));

  caller.identity_policies = TRY(read_policies(input, "identityPolicies", PolicyType::kIdentity));
  caller.permissions_boundary = TRY(read_one(input, "permissionBoundary", PolicyType::kBoundary));
  caller.session_policies = TRY(read_policies(input, "sessionPolicy", PolicyType::kSession));
  const bool trust = fold(action).starts_with("sts:assumerole");
  const auto resource_policy =
      TRY(read_one(input, "resourcePolicy", trust ? PolicyType::kTrust : PolicyType::kResource));

  RequestContext context;
  add_caller_keys(context, caller);
  if (const json::Value* given = request->find("context")) TRY(read_context(context, *given).in("request"));
  const EncryptionContext encryption_context = encryption_context_of(context);
  std::vector<Grant> grants;
  if (const json::Value* given = input.find("grants")) {
    const json::Array* list = given->if_array();
    if (list == nullptr) return malformed("grants: a {}, want an array", given->type_name());
    for (std::size_t i = 0; i < list->size(); ++i) {
      grants.push_back(TRY(read_grant((*list)[i], i).in(fmt::format("grants[{}]", i))));
    }
  }

  AuthorizationRequest asked{caller, action, target.resource, target.account, context};
  asked.authority = authority_of(action, target.resource, resource_policy.has_value());
  if (resource_policy && asked.authority != Authority::kIdentityOnly) asked.resource_policy = &*resource_policy;
  asked.grants = grants;
  asked.encryption_context = &encryption_context;
  Trace traced = trace(asked);
  if (const json::Value* refusal = input.find("refusal")) {
    const std::string cause = TRY(text_of(*refusal, "cause").in("refusal"));
    const auto known = parse_cause(cause);
    if (!known) return malformed("refusal.cause: {}: no such cause", cause.substr(0, 64));
    traced = trace_of(*known, TRY(text_of(*refusal, "detail").in("refusal")), caller.principal.arn, action, target.resource);
  }
  return json::Object{{"decision", to_string(traced.outcome)}, {"trace", to_json(traced)}};
}

}  // namespace casemate::iam
