// SPDX-License-Identifier: Apache-2.0
// Users, groups, roles, access keys, their tags and boundaries.
#include <algorithm>

#include "iam/api/call.h"
#include "sigv4/canonical.h"

namespace casemate::iam::api {
namespace {

using identity::AccessKey;

constexpr std::size_t kMostUsers = 5000;
constexpr std::size_t kMostGroups = 300;
constexpr std::size_t kMostRoles = 1000;
constexpr std::size_t kMostKeys = 2;
constexpr std::size_t kMostGroupsOfUser = 10;
constexpr std::size_t kLongestTrust = 8192;

std::size_t most_of(Kind kind) {
  return kind == Kind::kUser ? kMostUsers : kind == Kind::kGroup ? kMostGroups : kMostRoles;
}
std::size_t longest_name(Kind kind) {
  return kind == Kind::kGroup ? 128 : 64;
}

std::string boundary_xml(const Entity& entity) {
  if (entity.boundary.empty()) return {};
  return wrap("PermissionsBoundary", element("PermissionsBoundaryType", "Policy") +
                                         element("PermissionsBoundaryArn", entity.boundary));
}

std::string head_xml(const Entity& entity) {
  const std::string kind(kind_name(entity.kind));
  return element("Path", entity.path) + element(kind + "Name", entity.name) + element(kind + "Id", entity.id) +
         element("Arn", entity.arn()) + element("CreateDate", query::time_text(entity.created));
}

// Lists leave tags and boundaries out, as IAM's do.
enum class Detail { kListed, kWhole };

std::string entity_xml(const Entity& entity, Detail detail) {
  std::string out = head_xml(entity);
  if (entity.kind == Kind::kRole) {
    out += element("AssumeRolePolicyDocument", sigv4::uri_encode(entity.trust.text)) +
           element("Description", entity.description) +
           element("MaxSessionDuration", std::to_string(entity.max_session.count()));
  }
  if (detail == Detail::kListed) return out;
  if (!entity.tags.empty()) out += tags_xml(entity.tags);
  return out + boundary_xml(entity);
}

// name_or_own is the user that is meant: the caller, when no name is given.
Outcome<std::string> name_or_own(const Call& call) {
  if (call.parameters.find("UserName") != nullptr) return call.name("UserName", 128);
  if (call.caller.principal.type != PrincipalType::kUser)
    return invalid("Must specify userName when calling with non-User credentials");
  return call.caller.principal.name;
}

Outcome<std::string> boundary_of(const Call& call) {
  const std::string boundary = TRY(call.text("PermissionsBoundary", 2048));
  if (!boundary.empty() && call.state->find_policy(boundary) == nullptr)
    return no_such_entity(fmt::format("Scope ARN: {} does not exist or is not attachable.", boundary));
  return boundary;
}

template <Kind kKind>
Outcome<std::string> create(Call& call) {
  Entity entity;
  entity.kind = kKind;
  entity.account = call.account();
  entity.name = TRY(call.name(name_parameter(kKind), longest_name(kKind)));
  entity.path = TRY(call.path());
  Target target{entity.arn()};
  if (const std::string* boundary = call.parameters.find("PermissionsBoundary"))
    target.keys.emplace_back("iam:PermissionsBoundary", *boundary);
  TRY(call.authorize(target));
  entity.created = call.now;
  if (kKind != Kind::kGroup) {
    entity.tags = TRY(call.tags());
    entity.boundary = TRY(boundary_of(call));
  }
  if (kKind == Kind::kRole) {
    entity.trust = TRY(call.document("AssumeRolePolicyDocument", PolicyType::kTrust, kLongestTrust));
    entity.description = TRY(call.text("Description", 1000));
    entity.max_session = std::chrono::seconds{TRY(call.number("MaxSessionDuration", 3600, 43200, 3600))};
  }
  entity.id = identity::make_random_id(kKind == Kind::kUser ? "AIDA" : kKind == Kind::kGroup ? "AGPA" : "AROA", call.rng);
  std::string shown = entity_xml(entity, Detail::kWhole);
  TRY(call.change([&](State& state) -> Check {
    if (state.find(entity.account, kKind, entity.name) != nullptr) {
      return fault(409, "EntityAlreadyExists", fmt::format("{} with name {} already exists.", kind_name(kKind), entity.name));
    }
    if (state.of(entity.account, kKind).size() >= most_of(kKind))
      return limit_exceeded(fmt::format("{}sPerAccount", kind_name(kKind)), most_of(kKind));
    if (kKind == Kind::kRole) {
      if (const auto bad = find_invalid_principal(*entity.trust.policy, [&](const PrincipalName& name) {
            return identity::principal_exists(state, name);
          })) {
        return fault(400, "MalformedPolicyDocument", fmt::format("Invalid principal in policy: {}", bad->what));
      }
    }
    state.put(entity);
    return Done{};
  }));
  return wrap(kind_name(kKind), shown);
}

template <Kind kKind>
Outcome<std::string> list(Call& call) {
  const std::string prefix = TRY(call.text("PathPrefix", 512));
  TRY(call.authorize({fmt::format("arn:aws:iam::{}:{}/", call.account(), identity::to_string(kKind))}));
  std::vector<std::pair<std::string, std::string>> items;
  for (const EntityPtr& entity : call.state->of(call.account(), kKind)) {
    if (entity->path.starts_with(prefix)) items.emplace_back(entity->name, entity_xml(*entity, Detail::kListed));
  }
  return page(call, fmt::format("{}s", kind_name(kKind)), std::move(items));
}

template <Kind kKind>
Outcome<EntityPtr> find_authorized(Call& call, const std::string& name) {
  TRY(call.authorize(target_of(call, kKind, name)));
  EntityPtr entity = call.state->find(call.account(), kKind, name);
  if (entity == nullptr) return no_such(kKind, name);
  return entity;
}

Outcome<std::string> get_user(Call& call) {
  const EntityPtr user = TRY(find_authorized<Kind::kUser>(call, TRY(name_or_own(call))));
  return wrap("User", entity_xml(*user, Detail::kWhole));
}

Outcome<std::string> get_role(Call& call) {
  const EntityPtr role = TRY(find_authorized<Kind::kRole>(call, TRY(call.name("RoleName", 64))));
  return wrap("Role", entity_xml(*role, Detail::kWhole) + wrap("RoleLastUsed", ""));
}

Outcome<std::string> get_group(Call& call) {
  const EntityPtr group = TRY(find_authorized<Kind::kGroup>(call, TRY(call.name("GroupName"))));
  std::vector<std::pair<std::string, std::string>> items;
  for (const EntityPtr& user : call.state->of(call.account(), Kind::kUser)) {
    if (user->groups.contains(group->name)) items.emplace_back(user->name, entity_xml(*user, Detail::kListed));
  }
  return wrap("Group", entity_xml(*group, Detail::kListed)) + TRY(page(call, "Users", std::move(items)));
}

// update renames and moves; a group's members follow.
template <Kind kKind>
Outcome<std::string> update(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  TRY(call.authorize(target_of(call, kKind, name)));
  const std::string new_parameter = fmt::format("New{}Name", kind_name(kKind));
  std::string new_name;
  if (call.parameters.find(new_parameter) != nullptr) new_name = TRY(call.name(new_parameter, longest_name(kKind)));
  const std::string new_path = TRY(call.text("NewPath", 512));
  if (!new_path.empty() && (!new_path.starts_with('/') || !new_path.ends_with('/')))
    return invalid("The specified value for newPath is invalid. It must begin and end with /.");
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State& state) -> Check {
    const std::string old_name = entity.name;
    if (!new_path.empty()) entity.path = new_path;
    if (!new_name.empty() && new_name != old_name) {
      const EntityPtr other = state.find(entity.account, kKind, new_name);
      if (other != nullptr && other->id != entity.id) {
        return fault(409, "EntityAlreadyExists", fmt::format("{} with name {} already exists.", kind_name(kKind), new_name));
      }
      entity.name = new_name;
    }
    if (kKind != Kind::kGroup || entity.name == old_name) return Done{};
    for (const EntityPtr& user : state.of(entity.account, Kind::kUser)) {
      if (!user->groups.contains(old_name)) continue;
      Entity member = *user;
      member.groups.erase(old_name);
      member.groups.insert(entity.name);
      state.put(std::move(member));
    }
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> update_role(Call& call) {
  const std::string name = TRY(call.name("RoleName", 64));
  TRY(call.authorize(target_of(call, Kind::kRole, name)));
  const bool with_text = call.parameters.find("Description") != nullptr;
  const std::string description = TRY(call.text("Description", 1000));
  const std::int64_t duration = TRY(call.number("MaxSessionDuration", 3600, 43200, 0));
  std::string shown;
  TRY(edit_entity(call, Kind::kRole, name, [&](Entity& role, State&) -> Check {
    if (with_text) role.description = description;
    if (duration != 0) role.max_session = std::chrono::seconds{duration};
    shown = entity_xml(role, Detail::kWhole);
    return Done{};
  }));
  return call.action == "UpdateRoleDescription" ? wrap("Role", shown) : std::string();
}

Outcome<std::string> update_trust(Call& call) {
  const std::string name = TRY(call.name("RoleName", 64));
  TRY(call.authorize(target_of(call, Kind::kRole, name)));
  const Document document = TRY(call.document("PolicyDocument", PolicyType::kTrust, kLongestTrust));
  TRY(edit_entity(call, Kind::kRole, name, [&](Entity& role, State& state) -> Check {
    const auto bad = find_invalid_principal(
        *document.policy, [&](const PrincipalName& principal) { return identity::principal_exists(state, principal); });
    if (bad) return fault(400, "MalformedPolicyDocument", fmt::format("Invalid principal in policy: {}", bad->what));
    role.trust = document;
    return Done{};
  }));
  return std::string();
}

Check check_deletable(const Entity& entity, const State& state) {
  if (!entity.keys.empty()) return delete_conflict("delete access keys first.");
  if (!entity.attached.empty()) return delete_conflict("detach all policies first.");
  if (!entity.inline_policies.empty()) return delete_conflict("delete policies first.");
  if (!entity.groups.empty()) return delete_conflict("remove users from group first.");
  if (entity.kind == Kind::kGroup) {
    for (const EntityPtr& user : state.of(entity.account, Kind::kUser)) {
      if (user->groups.contains(entity.name)) return delete_conflict("remove users from group first.");
    }
  }
  if (entity.kind == Kind::kRole) {
    for (const auto& [key, profile] : state.profiles) {
      if (profile->account == entity.account && profile->role == entity.name)
        return delete_conflict("remove roles from instance profile first.");
    }
  }
  return Done{};
}

// pin_in_trust_policies lets trust policies name the id of someone who goes.
void pin_in_trust_policies(State& state, const std::string& arn, const std::string& unique_id) {
  std::vector<Entity> changed;
  for (const auto& [key, entity] : state.entities) {
    if (entity->kind != Kind::kRole) continue;
    auto text = pin_principal(entity->trust.text, arn, unique_id);
    if (!text) continue;
    auto policy = parse_policy(*text, PolicyType::kTrust);
    if (!policy.ok()) continue;
    changed.push_back(*entity);
    changed.back().trust = Document{*std::move(text), policy.take()};
  }
  for (Entity& role : changed) state.put(std::move(role));
}

template <Kind kKind>
Outcome<std::string> remove(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  TRY(call.authorize(target_of(call, kKind, name)));
  const EntityPtr leaving = call.state->find(call.account(), kKind, name);
  if (kKind != Kind::kGroup && leaving != nullptr) {
    TRY(check_deletable(*leaving, *call.state));
    if (!call.options.before_removal(leaving->arn(), leaving->id).ok())
      return fault(500, "ServiceFailure", "The request processing has failed because of an unknown error.");
  }
  TRY(call.change([&](State& state) -> Check {
    const EntityPtr entity = state.find(call.account(), kKind, name);
    if (entity == nullptr) return no_such(kKind, name);
    TRY(check_deletable(*entity, state));
    state.erase(*entity);
    if (kKind != Kind::kGroup) pin_in_trust_policies(state, entity->arn(), entity->id);
    return Done{};
  }));
  return std::string();
}

// ---- members of groups

Outcome<std::string> change_member(Call& call) {
  const std::string group = TRY(call.name("GroupName"));
  const std::string user = TRY(call.name("UserName"));
  TRY(call.authorize(target_of(call, Kind::kGroup, group)));
  const bool joins = call.action == "AddUserToGroup";
  TRY(edit_entity(call, Kind::kUser, user, [&](Entity& entity, State& state) -> Check {
    const EntityPtr found = state.find(call.account(), Kind::kGroup, group);
    if (found == nullptr) return no_such(Kind::kGroup, group);
    if (joins) {
      entity.groups.insert(found->name);
    } else {
      entity.groups.erase(found->name);
    }
    if (entity.groups.size() > kMostGroupsOfUser) return limit_exceeded("GroupsPerUser", kMostGroupsOfUser);
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> list_groups_of_user(Call& call) {
  const EntityPtr user = TRY(find_authorized<Kind::kUser>(call, TRY(call.name("UserName"))));
  std::vector<std::pair<std::string, std::string>> items;
  for (const std::string& name : user->groups) {
    if (const EntityPtr group = call.state->find(call.account(), Kind::kGroup, name))
      items.emplace_back(name, entity_xml(*group, Detail::kListed));
  }
  return page(call, "Groups", std::move(items));
}

// ---- access keys

std::string_view status_of(const AccessKey& key) {
  return key.active ? "Active" : "Inactive";
}

Outcome<std::string> create_key(Call& call) {
  const std::string name = TRY(name_or_own(call));
  TRY(call.authorize(target_of(call, Kind::kUser, name)));
  AccessKey key;
  key.id = identity::make_access_key_id("AKIA", call.account(), call.rng);
  key.secret = std::make_shared<const Secret>(identity::make_secret_access_key(call.rng));
  key.sealed = call.directory.sealer().seal_secret(key.id, *key.secret, call.rng);
  key.created = call.now;
  TRY(edit_entity(call, Kind::kUser, name, [&](Entity& user, State&) -> Check {
    if (user.keys.size() >= kMostKeys) return limit_exceeded("AccessKeysPerUser", kMostKeys);
    user.keys[key.id] = key;
    return Done{};
  }));
  return wrap("AccessKey", element("UserName", name) + element("AccessKeyId", key.id) + element("Status", status_of(key)) +
                               element("SecretAccessKey", as_text(key.secret->expose())) +
                               element("CreateDate", query::time_text(key.created)));
}

Outcome<std::string> list_keys(Call& call) {
  const EntityPtr user = TRY(find_authorized<Kind::kUser>(call, TRY(name_or_own(call))));
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [id, key] : user->keys) {
    items.emplace_back(id, element("UserName", user->name) + element("AccessKeyId", id) + element("Status", status_of(key)) +
                               element("CreateDate", query::time_text(key.created)));
  }
  return page(call, "AccessKeyMetadata", std::move(items));
}

Outcome<std::string> edit_key(Call& call) {
  const std::string name = TRY(name_or_own(call));
  const std::string id = TRY(call.name("AccessKeyId"));
  const std::string_view status = call.parameters.get("Status");
  const bool removes = call.action == "DeleteAccessKey";
  if (!removes && status != "Active" && status != "Inactive") {
    return invalid("1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum "
                   "value set: [Active, Inactive]");
  }
  TRY(call.authorize(target_of(call, Kind::kUser, name)));
  TRY(edit_entity(call, Kind::kUser, name, [&](Entity& user, State&) -> Check {
    const auto key = user.keys.find(id);
    if (key == user.keys.end()) return no_such_entity(fmt::format("The Access Key with id {} cannot be found.", id));
    if (removes) {
      user.keys.erase(key);
    } else {
      key->second.active = status == "Active";
    }
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> key_last_used(Call& call) {
  const std::string id = TRY(call.name("AccessKeyId"));
  const auto owner = call.state->key_owners.find(id);
  const EntityPtr user = owner == call.state->key_owners.end() ? nullptr : call.state->entities.at(owner->second);
  // A key of another account and one that does not exist give the same answer.
  const bool own = user != nullptr && user->account == call.account();
  TRY(call.authorize({own ? user->arn() : fmt::format("arn:aws:iam::{}:user/*", call.account()), nullptr, {}}));
  if (!own) return fault(403, "AccessDenied", fmt::format("Access key {} cannot be found.", id));
  // Uses are in the audit log; they are not counted a second time.
  const auto use = call.options.find_last_use(id);
  if (!use.ok() && use.error().code() != ErrorCode::kNotFound)
    return fault(500, "ServiceFailure", "The request processing has failed because of an unknown error.");
  const auto text = [&](std::string_view name) {
    const std::string* found = use.ok() ? use->string_at(name) : nullptr;
    return found == nullptr ? std::string() : *found;
  };
  const std::string source = text("eventSource");
  const std::string when = text("eventTime");
  return element("UserName", user->name) +
         wrap("AccessKeyLastUsed",
              (when.empty() ? std::string() : element("LastUsedDate", when)) +
                  element("ServiceName", when.empty() ? "N/A" : source.substr(0, source.find('.'))) +
                  element("Region", when.empty() ? "N/A" : text("awsRegion")));
}

// ---- tags and boundaries

template <Kind kKind>
Outcome<std::string> tag(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const identity::Tags more = TRY(call.tags());
  TRY(call.authorize(target_of(call, kKind, name)));
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State&) { return merge_tags(entity.tags, more); }));
  return std::string();
}

template <Kind kKind>
Outcome<std::string> untag(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::vector<std::string> keys = TRY(call.tag_keys());
  TRY(call.authorize(target_of(call, kKind, name)));
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State&) -> Check {
    remove_tags(entity.tags, keys);
    return Done{};
  }));
  return std::string();
}

template <Kind kKind>
Outcome<std::string> list_tags(Call& call) {
  const EntityPtr entity = TRY(find_authorized<kKind>(call, TRY(call.name(name_parameter(kKind)))));
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [key, value] : entity->tags) items.emplace_back(key, element("Key", key) + element("Value", value));
  return page(call, "Tags", std::move(items));
}

template <Kind kKind>
Outcome<std::string> put_boundary(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const bool removes = call.action.starts_with("Delete");
  Target target = target_of(call, kKind, name);
  target.keys.emplace_back("iam:PermissionsBoundary", std::string(call.parameters.get("PermissionsBoundary")));
  TRY(call.authorize(target));
  const std::string boundary = removes ? std::string() : TRY(boundary_of(call));
  if (!removes && boundary.empty()) return invalid("PermissionsBoundary is required.");
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State&) -> Check {
    entity.boundary = boundary;
    return Done{};
  }));
  return std::string();
}

}  // namespace

std::string role_xml(const Entity& role) {
  return entity_xml(role, Detail::kListed);
}

std::vector<Operation> entity_operations() {
  return {
      {"CreateUser", create<Kind::kUser>, false},
      {"GetUser", get_user, true},
      {"ListUsers", list<Kind::kUser>, true},
      {"UpdateUser", update<Kind::kUser>, false},
      {"DeleteUser", remove<Kind::kUser>, false},
      {"TagUser", tag<Kind::kUser>, false},
      {"UntagUser", untag<Kind::kUser>, false},
      {"ListUserTags", list_tags<Kind::kUser>, true},
      {"PutUserPermissionsBoundary", put_boundary<Kind::kUser>, false},
      {"DeleteUserPermissionsBoundary", put_boundary<Kind::kUser>, false},
      {"CreateAccessKey", create_key, false},
      {"ListAccessKeys", list_keys, true},
      {"UpdateAccessKey", edit_key, false},
      {"DeleteAccessKey", edit_key, false},
      {"GetAccessKeyLastUsed", key_last_used, true},
      {"CreateGroup", create<Kind::kGroup>, false},
      {"GetGroup", get_group, true},
      {"ListGroups", list<Kind::kGroup>, true},
      {"UpdateGroup", update<Kind::kGroup>, false},
      {"DeleteGroup", remove<Kind::kGroup>, false},
      {"AddUserToGroup", change_member, false},
      {"RemoveUserFromGroup", change_member, false},
      {"ListGroupsForUser", list_groups_of_user, true},
      {"CreateRole", create<Kind::kRole>, false},
      {"GetRole", get_role, true},
      {"ListRoles", list<Kind::kRole>, true},
      {"UpdateRole", update_role, false},
      {"UpdateRoleDescription", update_role, false},
      {"UpdateAssumeRolePolicy", update_trust, false},
      {"DeleteRole", remove<Kind::kRole>, false},
      {"TagRole", tag<Kind::kRole>, false},
      {"UntagRole", untag<Kind::kRole>, false},
      {"ListRoleTags", list_tags<Kind::kRole>, true},
      {"PutRolePermissionsBoundary", put_boundary<Kind::kRole>, false},
      {"DeleteRolePermissionsBoundary", put_boundary<Kind::kRole>, false},
  };
}

}  // namespace casemate::iam::api
