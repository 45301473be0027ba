// SPDX-License-Identifier: Apache-2.0
// Inline policies, managed policies and their versions, attachments.
#include <algorithm>
#include <charconv>

#include "iam/api/call.h"
#include "sigv4/canonical.h"

namespace casemate::iam::api {
namespace {

constexpr std::size_t kMostPolicies = 1500;
constexpr std::size_t kMostVersions = 5;
constexpr std::size_t kMostAttached = 10;
constexpr std::size_t kLongestManaged = 6144;

std::size_t longest_inline(Kind kind) {
  return kind == Kind::kUser ? 2048 : kind == Kind::kGroup ? 5120 : 10240;
}

// ---- inline policies

Fault no_such_inline(Kind kind, std::string_view name) {
  return no_such_entity(fmt::format("The {} policy with name {} cannot be found.", identity::to_string(kind), name));
}

template <Kind kKind>
Outcome<std::string> put_inline(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::string policy = TRY(call.name("PolicyName"));
  TRY(call.authorize(target_of(call, kKind, name)));
  const Document document = TRY(call.document("PolicyDocument", PolicyType::kIdentity, longest_inline(kKind)));
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State&) -> Check {
    entity.inline_policies[policy] = document;
    std::size_t size = 0;
    for (const auto& [other, one] : entity.inline_policies) size += one.text.size();
    if (size > 2 * longest_inline(kKind))
      return limit_exceeded(fmt::format("{} inline policy size", identity::to_string(kKind)), longest_inline(kKind));
    return Done{};
  }));
  return std::string();
}

template <Kind kKind>
Outcome<std::string> get_inline(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::string policy = TRY(call.name("PolicyName"));
  TRY(call.authorize(target_of(call, kKind, name)));
  const EntityPtr entity = call.state->find(call.account(), kKind, name);
  if (entity == nullptr) return no_such(kKind, name);
  const auto document = entity->inline_policies.find(policy);
  if (document == entity->inline_policies.end()) return no_such_inline(kKind, policy);
  return element(name_parameter(kKind), entity->name) + element("PolicyName", policy) +
         element("PolicyDocument", sigv4::uri_encode(document->second.text));
}

template <Kind kKind>
Outcome<std::string> list_inline(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  TRY(call.authorize(target_of(call, kKind, name)));
  const EntityPtr entity = call.state->find(call.account(), kKind, name);
  if (entity == nullptr) return no_such(kKind, name);
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [policy, document] : entity->inline_policies) items.emplace_back(policy, query::escape(policy));
  return page(call, "PolicyNames", std::move(items));
}

template <Kind kKind>
Outcome<std::string> delete_inline(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::string policy = TRY(call.name("PolicyName"));
  TRY(call.authorize(target_of(call, kKind, name)));
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State&) -> Check {
    if (entity.inline_policies.erase(policy) == 0) return no_such_inline(kKind, policy);
    return Done{};
  }));
  return std::string();
}

// ---- managed policies

Fault no_such_policy(std::string_view arn) {
  return no_such_entity(fmt::format("Policy {} was not found.", arn));
}

std::size_t attachments_of(const State& state, std::string_view account, std::string_view arn) {
  std::size_t count = 0;
  for (const auto& [key, entity] : state.entities) {
    if (entity->account == account) count += std::count(entity->attached.begin(), entity->attached.end(), arn) != 0 ? 1U : 0U;
  }
  return count;
}

std::size_t boundaries_of(const State& state, std::string_view account, std::string_view arn) {
  return static_cast<std::size_t>(std::count_if(state.entities.begin(), state.entities.end(), [&](const auto& entry) {
    return entry.second->account == account && entry.second->boundary == arn;
  }));
}

std::string policy_xml(const Call& call, const State& state, const ManagedPolicy& policy, bool whole) {
  const std::string arn = policy.arn();
  std::string out = element("PolicyName", policy.name) + element("PolicyId", policy.id) + element("Arn", arn) +
                    element("Path", policy.path) + element("DefaultVersionId", fmt::format("v{}", policy.default_version)) +
                    element("AttachmentCount", std::to_string(attachments_of(state, call.account(), arn))) +
                    element("PermissionsBoundaryUsageCount", std::to_string(boundaries_of(state, call.account(), arn))) +
                    element("IsAttachable", "true") + element("CreateDate", query::time_text(policy.created)) +
                    element("UpdateDate", query::time_text(policy.updated));
  if (!whole) return out;
  if (!policy.description.empty()) out += element("Description", policy.description);
  return policy.tags.empty() ? out : out + tags_xml(policy.tags);
}

std::string version_xml(const ManagedPolicy& policy, const identity::PolicyVersion& version, bool with_document) {
  return (with_document ? element("Document", sigv4::uri_encode(version.document.text)) : std::string()) +
         element("VersionId", fmt::format("v{}", version.number)) +
         element("IsDefaultVersion", version.number == policy.default_version ? "true" : "false") +
         element("CreateDate", query::time_text(version.created));
}

// policy_arn reads PolicyArn: of this account, or AWS's.
Outcome<std::string> policy_arn(const Call& call) {
  const std::string arn = TRY(call.text("PolicyArn", 2048));
  const auto parsed = parse_arn(arn);
  const bool known = parsed.ok() && parsed->service == "iam" && parsed->resource.starts_with("policy/") &&
                     (parsed->account == call.account() || parsed->account == "aws");
  if (!known) return invalid(fmt::format("ARN {} is not valid.", query::escape(arn)));
  return arn;
}

Outcome<identity::PolicyPtr> find_policy(Call& call) {
  const std::string arn = TRY(policy_arn(call));
  const identity::PolicyPtr policy = call.state->find_policy(arn);
  TRY(call.authorize({arn, policy == nullptr ? nullptr : &policy->tags, {}}));
  if (policy == nullptr) return no_such_policy(arn);
  return policy;
}

// edit_policy changes one of this account's policies; AWS's belong to nobody.
Check edit_policy(Call& call, const std::function<Check(ManagedPolicy&, State&)>& edit) {
  const identity::PolicyPtr found = TRY(find_policy(call));
  if (found->account != call.account())
    return fault(403, "AccessDenied", "Cannot change a policy that AWS manages.");
  return call.change([&](State& state) -> Check {
    const identity::PolicyPtr current = state.find_policy(found->arn());
    if (current == nullptr) return no_such_policy(found->arn());
    ManagedPolicy changed = *current;
    TRY(edit(changed, state));
    changed.updated = call.now;
    state.put(std::move(changed));
    return Done{};
  });
}

Outcome<std::string> create_policy(Call& call) {
  ManagedPolicy policy;
  policy.account = call.account();
  policy.name = TRY(call.name("PolicyName"));
  policy.path = TRY(call.path());
  TRY(call.authorize({policy.arn(), nullptr, {}}));
  policy.description = TRY(call.text("Description", 1000));
  policy.tags = TRY(call.tags());
  policy.versions = {{1, TRY(call.document("PolicyDocument", PolicyType::kIdentity, kLongestManaged)), call.now}};
  policy.id = identity::make_random_id("ANPA", call.rng);
  policy.created = policy.updated = call.now;
  std::string shown;
  TRY(call.change([&](State& state) -> Check {
    std::size_t count = 0;
    for (const auto& [arn, other] : state.policies) {
      if (other->account != policy.account) continue;
      ++count;
      if (fold(other->name) == fold(policy.name)) {
        return fault(409, "EntityAlreadyExists",
                     fmt::format("A policy called {} already exists. Duplicate names are not allowed.", policy.name));
      }
    }
    if (count >= kMostPolicies) return limit_exceeded("PoliciesPerAccount", kMostPolicies);
    state.put(policy);
    shown = policy_xml(call, state, policy, true);
    return Done{};
  }));
  return wrap("Policy", shown);
}

Outcome<std::string> get_policy(Call& call) {
  const identity::PolicyPtr policy = TRY(find_policy(call));
  return wrap("Policy", policy_xml(call, *call.state, *policy, true));
}

Outcome<std::string> list_policies(Call& call) {
  const std::string_view scope = call.parameters.get("Scope");
  const std::string prefix = TRY(call.text("PathPrefix", 512));
  const bool only_attached = call.parameters.get("OnlyAttached") == "true";
  if (!scope.empty() && scope != "All" && scope != "AWS" && scope != "Local") {
    return invalid("1 validation error detected: Value at 'scope' failed to satisfy constraint: Member must satisfy enum "
                   "value set: [All, AWS, Local]");
  }
  TRY(call.authorize({fmt::format("arn:aws:iam::{}:policy/", call.account()), nullptr, {}}));
  std::vector<std::pair<std::string, std::string>> items;
  const auto add = [&](const ManagedPolicy& policy) {
    if (!policy.path.starts_with(prefix)) return;
    if (only_attached && attachments_of(*call.state, call.account(), policy.arn()) == 0) return;
    items.emplace_back(policy.arn(), policy_xml(call, *call.state, policy, false));
  };
  if (scope != "AWS") {
    for (const auto& [arn, policy] : call.state->policies) {
      if (policy->account == call.account()) add(*policy);
    }
  }
  if (scope != "Local") {
    for (const auto& [arn, policy] : identity::aws_policies()) add(*policy);
  }
  return page(call, "Policies", std::move(items));
}

Outcome<std::string> delete_policy(Call& call) {
  const identity::PolicyPtr found = TRY(find_policy(call));
  if (found->account != call.account()) return fault(403, "AccessDenied", "Cannot change a policy that AWS manages.");
  TRY(call.change([&](State& state) -> Check {
    const identity::PolicyPtr policy = state.find_policy(found->arn());
    if (policy == nullptr) return no_such_policy(found->arn());
    if (attachments_of(state, call.account(), policy->arn()) + boundaries_of(state, call.account(), policy->arn()) != 0)
      return fault(409, "DeleteConflict", "Cannot delete a policy attached to entities.");
    if (policy->versions.size() > 1) {
      return fault(409, "DeleteConflict",
                   "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                   "versions. The default version is deleted with the policy.");
    }
    state.policies.erase(policy->arn());
    return Done{};
  }));
  return std::string();
}

// ---- versions

Outcome<unsigned> version_number(const Call& call) {
  const std::string_view text = call.parameters.get("VersionId");
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data() + (text.empty() ? 0 : 1), text.data() + text.size(), number);
  if (!text.starts_with('v') || error != std::errc{} || end != text.data() + text.size()) {
    return invalid("1 validation error detected: Value at 'versionId' failed to satisfy constraint: Member must satisfy "
                   "regular expression pattern: v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?");
  }
  return number;
}

Fault no_such_version(const ManagedPolicy& policy, unsigned number) {
  return no_such_entity(fmt::format("Policy {} version v{} does not exist or is not attachable.", policy.arn(), number));
}

Outcome<std::string> create_version(Call& call) {
  std::string shown;
  const bool is_default = call.parameters.get("SetAsDefault") == "true";
  TRY(edit_policy(call, [&](ManagedPolicy& policy, State&) -> Check {
    Document document = TRY(call.document("PolicyDocument", PolicyType::kIdentity, kLongestManaged));
    if (policy.versions.size() >= kMostVersions) {
      return fault(409, "LimitExceeded",
                   "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                   "existing version.");
    }
    policy.versions.push_back({policy.next_version++, std::move(document), call.now});
    if (is_default) policy.default_version = policy.versions.back().number;
    shown = version_xml(policy, policy.versions.back(), false);
    return Done{};
  }));
  return wrap("PolicyVersion", shown);
}

Outcome<std::string> get_version(Call& call) {
  const unsigned number = TRY(version_number(call));
  const identity::PolicyPtr policy = TRY(find_policy(call));
  const identity::PolicyVersion* version = policy->find_version(number);
  if (version == nullptr) return no_such_version(*policy, number);
  return wrap("PolicyVersion", version_xml(*policy, *version, true));
}

Outcome<std::string> list_versions(Call& call) {
  const identity::PolicyPtr policy = TRY(find_policy(call));
  std::vector<std::pair<std::string, std::string>> items;
  for (const identity::PolicyVersion& version : policy->versions)
    items.emplace_back(fmt::format("v{:06}", 999'999 - version.number), version_xml(*policy, version, false));
  return page(call, "Versions", std::move(items));
}

Outcome<std::string> delete_version(Call& call) {
  const unsigned number = TRY(version_number(call));
  TRY(edit_policy(call, [&](ManagedPolicy& policy, State&) -> Check {
    if (policy.find_version(number) == nullptr) return no_such_version(policy, number);
    if (number == policy.default_version)
      return fault(409, "DeleteConflict", "Cannot delete the default version of a policy.");
    std::erase_if(policy.versions, [&](const identity::PolicyVersion& version) { return version.number == number; });
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> set_default_version(Call& call) {
  const unsigned number = TRY(version_number(call));
  TRY(edit_policy(call, [&](ManagedPolicy& policy, State&) -> Check {
    if (policy.find_version(number) == nullptr) return no_such_version(policy, number);
    policy.default_version = number;
    return Done{};
  }));
  return std::string();
}

// ---- tags

Outcome<std::string> tag_policy(Call& call) {
  const identity::Tags more = TRY(call.tags());
  TRY(edit_policy(call, [&](ManagedPolicy& policy, State&) { return merge_tags(policy.tags, more); }));
  return std::string();
}

Outcome<std::string> untag_policy(Call& call) {
  const std::vector<std::string> keys = TRY(call.tag_keys());
  TRY(edit_policy(call, [&](ManagedPolicy& policy, State&) -> Check {
    remove_tags(policy.tags, keys);
    return Done{};
  }));
  return std::string();
}

Outcome<std::string> list_policy_tags(Call& call) {
  const identity::PolicyPtr policy = TRY(find_policy(call));
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [key, value] : policy->tags) items.emplace_back(key, element("Key", key) + element("Value", value));
  return page(call, "Tags", std::move(items));
}

// ---- attachments

template <Kind kKind>
Outcome<std::string> attach(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::string arn = TRY(policy_arn(call));
  Target target = target_of(call, kKind, name);
  target.keys.emplace_back("iam:PolicyARN", arn);
  TRY(call.authorize(target));
  const bool attaches = call.action.starts_with("Attach");
  TRY(edit_entity(call, kKind, name, [&](Entity& entity, State& state) -> Check {
    const auto at = std::find(entity.attached.begin(), entity.attached.end(), arn);
    if (!attaches) {
      if (at == entity.attached.end()) return no_such_entity(fmt::format("Policy {} was not found.", arn));
      entity.attached.erase(at);
      return Done{};
    }
    if (state.find_policy(arn) == nullptr)
      return no_such_entity(fmt::format("Policy {} does not exist or is not attachable.", arn));
    if (at != entity.attached.end()) return Done{};
    if (entity.attached.size() >= kMostAttached)
      return limit_exceeded(fmt::format("PoliciesPer{}", kind_name(kKind)), kMostAttached);
    entity.attached.push_back(arn);
    return Done{};
  }));
  return std::string();
}

template <Kind kKind>
Outcome<std::string> list_attached(Call& call) {
  const std::string name = TRY(call.name(name_parameter(kKind)));
  const std::string prefix = TRY(call.text("PathPrefix", 512));
  TRY(call.authorize(target_of(call, kKind, name)));
  const EntityPtr entity = call.state->find(call.account(), kKind, name);
  if (entity == nullptr) return no_such(kKind, name);
  std::vector<std::pair<std::string, std::string>> items;
  for (const std::string& arn : entity->attached) {
    const identity::PolicyPtr policy = call.state->find_policy(arn);
    if (policy != nullptr && policy->path.starts_with(prefix))
      items.emplace_back(arn, element("PolicyName", policy->name) + element("PolicyArn", arn));
  }
  return page(call, "AttachedPolicies", std::move(items));
}

Outcome<std::string> list_entities(Call& call) {
  const identity::PolicyPtr policy = TRY(find_policy(call));
  const std::string arn = policy->arn();
  const std::string_view filter = call.parameters.get("EntityFilter");
  const bool boundaries = call.parameters.get("PolicyUsageFilter") == "PermissionsBoundary";
  std::string out;
  for (const Kind kind : {Kind::kGroup, Kind::kUser, Kind::kRole}) {
    std::vector<std::string> items;
    for (const EntityPtr& entity : call.state->of(call.account(), kind)) {
      const bool uses = boundaries ? entity->boundary == arn
                                   : std::count(entity->attached.begin(), entity->attached.end(), arn) != 0;
      if (!uses || (!filter.empty() && filter != kind_name(kind))) continue;
      items.push_back(element(name_parameter(kind), entity->name) +
                      element(fmt::format("{}Id", kind_name(kind)), entity->id));
    }
    out += query::members(fmt::format("Policy{}s", kind_name(kind)), items);
  }
  return out + element("IsTruncated", "false");
}

}  // namespace

std::vector<Operation> policy_operations() {
  return {
      {"PutUserPolicy", put_inline<Kind::kUser>, false},
      {"GetUserPolicy", get_inline<Kind::kUser>, true},
      {"ListUserPolicies", list_inline<Kind::kUser>, true},
      {"DeleteUserPolicy", delete_inline<Kind::kUser>, false},
      {"PutGroupPolicy", put_inline<Kind::kGroup>, false},
      {"GetGroupPolicy", get_inline<Kind::kGroup>, true},
      {"ListGroupPolicies", list_inline<Kind::kGroup>, true},
      {"DeleteGroupPolicy", delete_inline<Kind::kGroup>, false},
      {"PutRolePolicy", put_inline<Kind::kRole>, false},
      {"GetRolePolicy", get_inline<Kind::kRole>, true},
      {"ListRolePolicies", list_inline<Kind::kRole>, true},
      {"DeleteRolePolicy", delete_inline<Kind::kRole>, false},
      {"CreatePolicy", create_policy, false},
      {"GetPolicy", get_policy, true},
      {"ListPolicies", list_policies, true},
      {"DeletePolicy", delete_policy, false},
      {"CreatePolicyVersion", create_version, false},
      {"GetPolicyVersion", get_version, true},
      {"ListPolicyVersions", list_versions, true},
      {"DeletePolicyVersion", delete_version, false},
      {"SetDefaultPolicyVersion", set_default_version, false},
      {"TagPolicy", tag_policy, false},
      {"UntagPolicy", untag_policy, false},
      {"ListPolicyTags", list_policy_tags, true},
      {"AttachUserPolicy", attach<Kind::kUser>, false},
      {"DetachUserPolicy", attach<Kind::kUser>, false},
      {"ListAttachedUserPolicies", list_attached<Kind::kUser>, true},
      {"AttachGroupPolicy", attach<Kind::kGroup>, false},
      {"DetachGroupPolicy", attach<Kind::kGroup>, false},
      {"ListAttachedGroupPolicies", list_attached<Kind::kGroup>, true},
      {"AttachRolePolicy", attach<Kind::kRole>, false},
      {"DetachRolePolicy", attach<Kind::kRole>, false},
      {"ListAttachedRolePolicies", list_attached<Kind::kRole>, true},
      {"ListEntitiesForPolicy", list_entities, true},
  };
}

}  // namespace casemate::iam::api
