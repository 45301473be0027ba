// SPDX-License-Identifier: Apache-2.0
// Instance profiles, and what tells of the account as a whole.
#include "iam/api/call.h"

namespace casemate::iam::api {
namespace {

constexpr std::size_t kMostProfiles = 1000;

Fault no_such_profile(std::string_view name) {
  return no_such_entity(fmt::format("Instance Profile {} cannot be found.", name));
}

std::string profile_xml(const State& state, const InstanceProfile& profile, bool whole) {
  std::vector<std::string> roles;
  if (const EntityPtr role = state.find(profile.account, Kind::kRole, profile.role); role != nullptr)
    roles.push_back(role_xml(*role));
  std::string out = element("Path", profile.path) + element("InstanceProfileName", profile.name) +
                    element("InstanceProfileId", profile.id) + element("Arn", profile.arn()) +
                    element("CreateDate", query::time_text(profile.created)) + query::members("Roles", roles);
  return whole && !profile.tags.empty() ? out + tags_xml(profile.tags) : out;
}

Target profile_target(const Call& call, const std::string& name) {
  const identity::ProfilePtr profile = call.state->find_profile(call.account(), name);
  if (profile != nullptr) return {profile->arn(), &profile->tags, {}};
  return {fmt::format("arn:aws:iam::{}:instance-profile/{}", call.account(), name), nullptr, {}};
}

Outcome<identity::ProfilePtr> find_authorized(Call& call) {
  const std::string name = TRY(call.name("InstanceProfileName"));
  TRY(call.authorize(profile_target(call, name)));
  const identity::ProfilePtr profile = call.state->find_profile(call.account(), name);
  if (profile == nullptr) return no_such_profile(name);
  return profile;
}

Check edit_profile(Call& call, const std::function<Check(InstanceProfile&, State&)>& edit) {
  const identity::ProfilePtr found = TRY(find_authorized(call));
  return call.change([&](State& state) -> Check {
    const identity::ProfilePtr current = state.find_profile(found->account, found->name);
    if (current == nullptr) return no_such_profile(found->name);
    InstanceProfile changed = *current;
    TRY(edit(changed, state));
    state.put(std::move(changed));
    return Done{};
  });
}

Outcome<std::string> create_profile(Call& call) {
  InstanceProfile profile;
  profile.account = call.account();
  profile.name = TRY(call.name("InstanceProfileName"));
  profile.path = TRY(call.path());
  TRY(call.authorize({profile.arn(), nullptr, {}}));
  profile.tags = TRY(call.tags());
  profile.id = identity::make_random_id("AIPA", call.rng);
  profile.created = call.now;
  TRY(call.change([&](State& state) -> Check {
    if (state.find_profile(profile.account, profile.name) != nullptr) {
      return fault(409, "EntityAlreadyExists", fmt::format("Instance Profile {} already exists.", profile.name));
    }
    if (state.profiles.size() >= kMostProfiles) return limit_exceeded("InstanceProfilesPerAccount", kMostProfiles);
    state.put(profile);
    return Done{};
  }));
  return wrap("InstanceProfile", profile_xml(*call.state, profile, true));
}

Outcome<std::string> get_profile(Call& call) {
  const identity::ProfilePtr profile = TRY(find_authorized(call));
  return wrap("InstanceProfile", profile_xml(*call.state, *profile, true));
}

Outcome<std::string> list_profiles(Call& call) {
  const std::string prefix = TRY(call.text("PathPrefix", 512));
  std::string role;
  if (call.action == "ListInstanceProfilesForRole") {
    role = TRY(call.name("RoleName", 64));
    TRY(call.authorize(target_of(call, Kind::kRole, role)));
    const EntityPtr found = call.state->find(call.account(), Kind::kRole, role);
    if (found == nullptr) return no_such(Kind::kRole, role);
    role = found->name;
  } else {
    TRY(call.authorize({fmt::format("arn:aws:iam::{}:instance-profile/", call.account()), nullptr, {}}));
  }
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [key, profile] : call.state->profiles) {
    const bool wanted = profile->account == call.account() && profile->path.starts_with(prefix);
    if (wanted && (role.empty() || profile->role == role))
      items.emplace_back(profile->name, profile_xml(*call.state, *profile, false));
  }
  return page(call, "InstanceProfiles", std::move(items));
}

Outcome<std::string> delete_profile(Call& call) {
  const identity::ProfilePtr found = TRY(find_authorized(call));
  TRY(call.change([&](State& state) -> Check {
    const identity::ProfilePtr profile = state.find_profile(found->account, found->name);
    if (profile == nullptr) return no_such_profile(found->name);
    if (!profile->role.empty()) return delete_conflict("remove roles from instance profile first.");
    state.profiles.erase(State::slot(profile->account, "instance-profile", profile->name));
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> change_role(Call& call) {
  const std::string name = TRY(call.name("RoleName", 64));
  const bool adds = call.action.starts_with("Add");
  TRY(edit_profile(call, [&](InstanceProfile& profile, State& state) -> Check {
    const EntityPtr role = state.find(call.account(), Kind::kRole, name);
    if (role == nullptr) return no_such(Kind::kRole, name);
    if (!adds) {
      if (profile.role != role->name) return no_such(Kind::kRole, name);
      profile.role.clear();
      return Done{};
    }
    if (!profile.role.empty()) return limit_exceeded("InstanceSessionsPerInstanceProfile", 1);
    profile.role = role->name;
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> tag_profile(Call& call) {
  const identity::Tags more = TRY(call.tags());
  TRY(edit_profile(call, [&](InstanceProfile& profile, State&) { return merge_tags(profile.tags, more); }));
  return std::string();
}

Outcome<std::string> untag_profile(Call& call) {
  const std::vector<std::string> keys = TRY(call.tag_keys());
  TRY(edit_profile(call, [&](InstanceProfile& profile, State&) -> Check {
    remove_tags(profile.tags, keys);
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> list_profile_tags(Call& call) {
  const identity::ProfilePtr profile = TRY(find_authorized(call));
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [key, value] : profile->tags) items.emplace_back(key, element("Key", key) + element("Value", value));
  return page(call, "Tags", std::move(items));
}

Outcome<std::string> list_aliases(Call& call) {
  TRY(call.authorize({"*", nullptr, {}}));
  std::vector<std::pair<std::string, std::string>> items;
  const auto account = call.state->accounts.find(call.account());
  if (account != call.state->accounts.end() && !account->second.empty())
    items.emplace_back(account->second, query::escape(account->second));
  return page(call, "AccountAliases", std::move(items));
}

Outcome<std::string> account_summary(Call& call) {
  TRY(call.authorize({"*", nullptr, {}}));
  const auto count = [&](Kind kind) { return call.state->of(call.account(), kind).size(); };
  std::size_t policies = 0;
  for (const auto& [arn, policy] : call.state->policies) policies += policy->account == call.account() ? 1U : 0U;
  std::size_t profiles = 0;
  for (const auto& [key, profile] : call.state->profiles) profiles += profile->account == call.account() ? 1U : 0U;
  std::string entries;
  for (const auto& [key, value] : {std::pair<std::string_view, std::size_t>{"Users", count(Kind::kUser)},
                                   {"Groups", count(Kind::kGroup)},
                                   {"Roles", count(Kind::kRole)},
                                   {"Policies", policies},
                                   {"InstanceProfiles", profiles},
                                   {"AccessKeysPerUserQuota", 2}}) {
    entries += wrap("entry", element("key", key) + element("value", std::to_string(value)));
  }
  return wrap("SummaryMap", entries);
}

}  // namespace

std::vector<Operation> profile_operations() {
  return {
      {"CreateInstanceProfile", create_profile, false},
      {"GetInstanceProfile", get_profile, true},
      {"ListInstanceProfiles", list_profiles, true},
      {"ListInstanceProfilesForRole", list_profiles, true},
      {"DeleteInstanceProfile", delete_profile, false},
      {"AddRoleToInstanceProfile", change_role, false},
      {"RemoveRoleFromInstanceProfile", change_role, false},
      {"TagInstanceProfile", tag_profile, false},
      {"UntagInstanceProfile", untag_profile, false},
      {"ListInstanceProfileTags", list_profile_tags, true},
      {"ListAccountAliases", list_aliases, true},
      {"GetAccountSummary", account_summary, true},
  };
}

}  // namespace casemate::iam::api
