// SPDX-License-Identifier: Apache-2.0
// Grants: creation within what the caller itself may do, lists, retirement and revocation.
#include <algorithm>

#include "iam/arn.h"
#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

// Limits of the developer guide, "Using grant constraints".
constexpr std::size_t kMostPairs = 8;
constexpr std::size_t kLongestValue = 384;

// read_principal gives an ARN or a service's name, whichever of the two members is there.
Outcome<std::string> read_principal(const Call& call, std::string_view arn_member, std::string_view service_member) {
  const std::string* arn_text = call.input().text(arn_member);
  const std::string* service = call.input().text(service_member);
  if (arn_text != nullptr && service != nullptr) {
    return fault(FaultKind::kValidation,
                 fmt::format("You cannot specify {} and {} in the same request.", arn_member, service_member));
  }
  if (service != nullptr) return *service;
  if (arn_text == nullptr) return std::string{};
  const auto arn = iam::parse_arn(*arn_text);
  const bool known =
      arn.ok() && (arn->service == "iam" || arn->service == "sts") && iam::is_account_id(arn->account) &&
      (arn->account != call.realm().account || call.options().principal_exists({iam::PrincipalKind::kAws, *arn_text}));
  if (!known)
    return fault(FaultKind::kInvalidArn, fmt::format("ARN does not refer to a valid principal: {}", *arn_text));
  return *arn_text;
}

Outcome<std::optional<EncryptionContext>> read_pairs(const Input& constraints, std::string_view member) {
  const auto* pairs = constraints.map(member);
  if (pairs == nullptr || pairs->empty()) return std::optional<EncryptionContext>{};
  const bool fits = pairs->size() <= kMostPairs && std::all_of(pairs->begin(), pairs->end(), [](const auto& pair) {
                      return pair.second.size() <= kLongestValue;
                    });
  if (!fits) {
    return fault(FaultKind::kValidation,
                 fmt::format("A grant constraint has at most {} pairs with values of at most {} characters.",
                             kMostPairs, kLongestValue));
  }
  EncryptionContext context(*pairs);
  std::sort(context.begin(), context.end());
  return std::optional(std::move(context));
}

Outcome<GrantConstraints> read_constraints(const Input& input, const Key& key) {
  GrantConstraints out;
  const Input* constraints = input.structure("Constraints");
  if (constraints == nullptr) return out;
  out.equals = TRY(read_pairs(*constraints, "EncryptionContextEquals"));
  out.subset = TRY(read_pairs(*constraints, "EncryptionContextSubset"));
  out.source_arn = constraints->text_or("SourceArn", "");
  if ((out.equals || out.subset) && key.spec != KeySpec::kSymmetricDefault) {
    return fault(FaultKind::kValidation,
                 fmt::format("Encryption context constraints are not valid with key spec {}.", to_string(key.spec)));
  }
  return out;
}

Outcome<std::vector<std::string>> read_operations(const Input& input, const Key& key) {
  std::vector<std::string> out;
  for (const std::string& operation : *input.texts("Operations")) {
    if (!suits(key.spec, key.usage, operation)) {
      return fault(FaultKind::kValidation, fmt::format("Grant operation {} is not valid with key spec {} and usage {}.",
                                                       operation, to_string(key.spec), to_string(key.usage)));
    }
    if (std::find(out.begin(), out.end(), operation) == out.end()) out.push_back(operation);
  }
  if (out.empty()) return fault(FaultKind::kValidation, "A grant needs at least one operation.");
  return out;
}

void add_grant_keys(iam::RequestContext& context, const GrantDraft& draft) {
  context.set_bool("kms:GrantIsForAWSResource", false);
  context.set_list("kms:GrantOperations", draft.operations);
  const auto add_principal = [&](const std::string& principal, std::string_view arn_key, std::string_view service_key) {
    if (!principal.empty()) context.set(is_service_principal(principal) ? service_key : arn_key, principal);
  };
  add_principal(draft.grantee, "kms:GranteePrincipal", "kms:GranteeServicePrincipal");
  add_principal(draft.retiring, "kms:RetiringPrincipal", "kms:RetiringServicePrincipal");
  const GrantConstraints& constraints = draft.constraints;
  if (constraints.equals) context.set("kms:GrantConstraintType", "EncryptionContextEquals");
  if (constraints.subset) context.set("kms:GrantConstraintType", "EncryptionContextSubset");
  if (!constraints.source_arn.empty()) context.set("kms:GrantConstraintSourceArn", constraints.source_arn);
  const auto& pairs = constraints.equals ? constraints.equals : constraints.subset;
  if (!pairs) return;
  std::vector<std::string> names;
  for (const auto& [name, value] : *pairs) {
    context.set(fmt::format("kms:EncryptionContext:{}", name), value);
    names.push_back(name);
  }
  context.set_list("kms:EncryptionContextKeys", std::move(names));
}

json::Object to_json(const EncryptionContext& context) {
  json::Object out;
  for (const auto& [name, value] : context) out.append(name, value);
  return out;
}

json::Object describe(const KeyName& key, const Grant& grant) {
  json::Object out{{"CreationDate", seconds(grant.created)},
                   {"GrantId", grant.id},
                   {"IssuingAccount", iam::root_arn(grant.issuing_account, partition_of(key.realm.region))},
                   {"KeyId", key_arn(key.realm, key.id)},
                   {"Name", grant.name}};
  json::Array operations;
  for (const std::string& operation : grant.operations) operations.emplace_back(operation);
  out.set("Operations", std::move(operations));
  // A service is shown under both names, as the service's own answers do.
  out.set("GranteePrincipal", grant.grantee);
  if (is_service_principal(grant.grantee)) out.set("GranteeServicePrincipal", grant.grantee);
  if (!grant.retiring.empty()) out.set("RetiringPrincipal", grant.retiring);
  if (is_service_principal(grant.retiring)) out.set("RetiringServicePrincipal", grant.retiring);
  if (!grant.constraints.empty()) {
    json::Object constraints;
    if (grant.constraints.equals) constraints.set("EncryptionContextEquals", to_json(*grant.constraints.equals));
    if (grant.constraints.subset) constraints.set("EncryptionContextSubset", to_json(*grant.constraints.subset));
    if (!grant.constraints.source_arn.empty()) constraints.set("SourceArn", grant.constraints.source_arn);
    out.set("Constraints", std::move(constraints));
  }
  return out;
}

Fault grant_not_found(std::string_view id) {
  return fault(FaultKind::kNotFound, fmt::format("Grant ID {} not found", id));
}

Outcome<std::string> read_grant_id(const Input& input) {
  const std::string& id = *input.text("GrantId");
  const bool hex =
      std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (id.size() != 64 || !hex) return fault(FaultKind::kInvalidGrantId, fmt::format("Invalid grant ID: {}", id));
  return id;
}

struct Retired {
  Located located;
  const Grant* grant = nullptr;
};

Outcome<Retired> find_retired(Call& call) {
  const Input& input = call.input();
  const std::string* token = input.text("GrantToken");
  const bool by_id = input.has("KeyId") && input.has("GrantId");
  if ((token != nullptr) == (input.has("KeyId") || input.has("GrantId")) || (token == nullptr && !by_id)) {
    return fault(FaultKind::kValidation, "Either a grant token, or a key ARN and a grant ID, is required.");
  }
  Retired retired;
  std::string id;
  if (token != nullptr) {
    const auto read = call.keyring().read_grant_token(*token);
    if (!read) return call.invalid_grant_token();
    id = *read;
    const auto found = TRY(call.keyring().reader()->find_grant(id));
    if (!found || found->key.realm.region != call.realm().region) return grant_not_found(id);
    retired.located = TRY(call.keyring().locate({KeyReference::Kind::kKey, found->key.realm, found->key.id}));
  } else {
    id = TRY(read_grant_id(input));
    retired.located = TRY(call.locate("KeyId", AllowAlias::kNo));
  }
  retired.grant = retired.located.record->find_grant(id);
  if (retired.grant == nullptr) return grant_not_found(id);
  return retired;
}

}  // namespace

Outcome<Answer> create_grant(Call& call) {
  const Input& input = call.input();
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  const KeyRecord& record = *located.record;
  GrantDraft draft;
  draft.name = input.text_or("Name", "");
  draft.operations = TRY(read_operations(input, record.key));
  draft.constraints = TRY(read_constraints(input, record.key));
  draft.grantee = TRY(read_principal(call, "GranteePrincipal", "GranteeServicePrincipal"));
  draft.retiring = TRY(read_principal(call, "RetiringPrincipal", "RetiringServicePrincipal"));
  if (draft.grantee.empty())
    return fault(FaultKind::kValidation, "A grant needs a GranteePrincipal or a GranteeServicePrincipal.");
  add_grant_keys(call.context(), draft);
  // A grant that allows CreateGrant does so for grants that are at least as strict: their pairs stand for a context.
  const auto& pairs = draft.constraints.equals ? draft.constraints.equals : draft.constraints.subset;
  TRY(call.authorize("CreateGrant", located, pairs ? &*pairs : nullptr));
  TRY(call.check_grant_tokens());
  TRY(call.require_state(StateRule::kCreateGrant, record));
  // Who may create grants only by a grant gives away no more than that grant gives.
  if (!call.notes().grant_id.empty()) {
    const Grant* own = record.find_grant(call.notes().grant_id);
    Grant wanted;
    wanted.operations = draft.operations;
    wanted.constraints = draft.constraints;
    if (own == nullptr || !within(wanted, *own)) {
      return fault(
          FaultKind::kAccessDenied,
          fmt::format("User: {} is not authorized to perform: kms:CreateGrant on resource: {} because the grant "
                      "that allows it does not include what the new one would",
                      call.caller().principal.arn, record.arn));
    }
  }
  TRY(call.end_dry_run());
  const Grant grant = TRY(call.keyring().create_grant(record, draft));
  return Answer(json::Object{{"GrantId", grant.id}, {"GrantToken", call.keyring().make_grant_token(grant.id)}});
}

Outcome<Answer> list_grants(Call& call) {
  const Input& input = call.input();
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("ListGrants", located));
  const PageRequest page = TRY(read_page(call, 50, 100));
  const std::string* grantee = input.text("GranteePrincipal");
  if (grantee == nullptr) grantee = input.text("GranteeServicePrincipal");
  std::string id;
  if (input.has("GrantId")) id = TRY(read_grant_id(input));
  std::vector<const Grant*> shown;
  for (const Grant& grant : located.record->grants) {
    if (grantee != nullptr && grant.grantee != *grantee) continue;
    if (!id.empty() && grant.id != id) continue;
    if (grant.id > page.after && shown.size() <= page.limit) shown.push_back(&grant);
  }
  const bool more = cut_page(shown, page);
  json::Array grants;
  for (const Grant* grant : shown) grants.emplace_back(describe(located.record->name(), *grant));
  json::Object answer{{"Grants", std::move(grants)}};
  end_page(answer, more, shown.empty() ? std::string_view{} : std::string_view(shown.back()->id));
  return Answer(std::move(answer));
}

Outcome<Answer> list_retirable_grants(Call& call) {
  const std::string* principal = call.input().text("RetiringPrincipal");
  const std::string* service = call.input().text("RetiringServicePrincipal");
  if ((principal != nullptr) == (service != nullptr))
    return fault(FaultKind::kValidation, "Either a RetiringPrincipal or a RetiringServicePrincipal is required.");
  if (principal != nullptr && !iam::parse_arn(*principal).ok())
    return fault(FaultKind::kInvalidArn, fmt::format("Invalid arn {}", *principal));
  TRY(call.authorize_by_identity("ListRetirableGrants", "*"));
  const PageRequest page = TRY(read_page(call, 50, 100));
  auto found = TRY(call.keyring().reader()->list_retirable(
      call.realm().region, principal != nullptr ? *principal : *service, page.after, page.limit + 1));
  const bool more = cut_page(found, page);
  json::Array grants;
  for (const auto& [key, grant] : found) grants.emplace_back(describe(key, grant));
  json::Object answer{{"Grants", std::move(grants)}};
  end_page(answer, more, found.empty() ? std::string_view{} : std::string_view(found.back().grant.id));
  return Answer(std::move(answer));
}

Outcome<Answer> retire_grant(Call& call) {
  const Retired retired = TRY(find_retired(call));
  TRY(call.authorize_retirement(retired.located, *retired.grant));
  TRY(call.end_dry_run());
  TRY(call.keyring().remove_grant(*retired.located.record, retired.grant->id));
  return Answer{};
}

Outcome<Answer> revoke_grant(Call& call) {
  const std::string id = TRY(read_grant_id(call.input()));
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("RevokeGrant", located));
  if (located.record->find_grant(id) == nullptr) return grant_not_found(id);
  TRY(call.end_dry_run());
  TRY(call.keyring().remove_grant(*located.record, id));
  return Answer{};
}

}  // namespace casemate::kms::api
