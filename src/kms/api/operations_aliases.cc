// SPDX-License-Identifier: Apache-2.0
// Aliases. Each needs permission on the alias, which identity policies give, and on the key.
#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

constexpr std::size_t kMostAliasesOfKey = 50;

Outcome<Located> locate_target(Call& call) {
  const std::string_view target = call.input().text_or("TargetKeyId", "");
  if (target.starts_with("alias/") || target.find(":alias/") != std::string_view::npos) {
    return fault(FaultKind::kValidation, "Aliases must refer to keys. Not aliases");
  }
  Located located = TRY(call.locate("TargetKeyId", AllowAlias::kNo));
  // An alias and its key share account and region.
  if (located.record->key.realm != call.realm()) {
    return key_not_found({KeyReference::Kind::kKey, call.realm(), located.record->key.id});
  }
  return located;
}

// The key that an alias of the caller's stands for now.
Outcome<Located> locate_by_alias(Call& call, const std::string& name) {
  return call.keyring().locate({KeyReference::Kind::kAlias, call.realm(), name});
}

// Permissions on aliases themselves speak of the key without the alias that was used to find it.
Located without_alias(Located located) {
  located.alias.clear();
  return located;
}

}  // namespace

Outcome<Answer> create_alias(Call& call) {
  const std::string& name = *call.input().text("AliasName");
  TRY(check_alias_name(name));
  const Located target = TRY(locate_target(call));
  TRY(call.authorize_by_identity("CreateAlias", alias_arn(call.realm(), name)));
  TRY(call.authorize("CreateAlias", target));
  TRY(call.require_state(StateRule::kCreateAlias, *target.record));
  if (target.record->aliases.size() >= kMostAliasesOfKey) {
    return fault(FaultKind::kLimitExceeded,
                 fmt::format("The key {} has {} aliases, which is the most.", target.record->arn, kMostAliasesOfKey));
  }
  TRY(call.keyring().create_alias(call.realm(), name, *target.record));
  return Answer{};
}

Outcome<Answer> update_alias(Call& call) {
  const std::string& name = *call.input().text("AliasName");
  TRY(check_alias_name(name));
  const Located before = without_alias(TRY(locate_by_alias(call, name)));
  const Located target = TRY(locate_target(call));
  TRY(call.authorize_by_identity("UpdateAlias", alias_arn(call.realm(), name)));
  TRY(call.authorize("UpdateAlias", before));
  if (before.record->key.id != target.record->key.id) TRY(call.authorize("UpdateAlias", target));
  TRY(call.require_state(StateRule::kTargetOfAlias, *target.record));
  if (before.record->key.usage != target.record->key.usage) {
    return fault(
        FaultKind::kValidation,
        fmt::format(
            "Alias {} cannot be changed from a CMK with key usage {} to a CMK with key usage {}. The key usage of the "
            "current CMK and the new CMK must be the same.",
            alias_arn(call.realm(), name), to_string(before.record->key.usage), to_string(target.record->key.usage)));
  }
  TRY(call.keyring().update_alias(call.realm(), name, *target.record));
  return Answer{};
}

Outcome<Answer> delete_alias(Call& call) {
  const std::string& name = *call.input().text("AliasName");
  TRY(check_alias_name(name));
  const Located before = without_alias(TRY(locate_by_alias(call, name)));
  TRY(call.authorize_by_identity("DeleteAlias", alias_arn(call.realm(), name)));
  TRY(call.authorize("DeleteAlias", before));
  TRY(call.keyring().delete_alias(call.realm(), name));
  return Answer{};
}

Outcome<Answer> list_aliases(Call& call) {
  TRY(call.authorize_by_identity("ListAliases", "*"));
  const PageRequest page = TRY(read_page(call, 50, 100));
  std::vector<Alias> aliases;
  if (call.input().has("KeyId")) {
    const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
    aliases = TRY(call.keyring().reader()->list_aliases_of(located.record->name(), page.after, page.limit + 1));
  } else {
    aliases = TRY(call.keyring().reader()->list_aliases(call.realm(), page.after, page.limit + 1));
  }
  const bool more = cut_page(aliases, page);
  json::Array items;
  for (const Alias& alias : aliases) {
    items.emplace_back(json::Object{{"AliasArn", alias_arn(call.realm(), alias.name)},
                                    {"AliasName", alias.name},
                                    {"CreationDate", seconds(alias.created)},
                                    {"LastUpdatedDate", seconds(alias.updated)},
                                    {"TargetKeyId", alias.key_id}});
  }
  json::Object answer{{"Aliases", std::move(items)}};
  end_page(answer, more, aliases.empty() ? std::string_view{} : aliases.back().name);
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
