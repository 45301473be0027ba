// SPDX-License-Identifier: Apache-2.0
#include "identity/model.h"

#include <algorithm>
#include <array>

#include "iam/arn.h"
#include "identity/token.h"

namespace casemate::identity {
namespace {

struct AwsPolicy {
  std::string_view path;
  std::string_view name;
  std::string_view description;
  std::string_view document;
};

constexpr std::array<AwsPolicy, 6> kAwsPolicies = {{
    {"/", "AdministratorAccess", "Provides full access to AWS services and resources.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"},
    {"/", "PowerUserAccess", "Everything but the management of users and groups.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},)"
     R"({"Effect":"Allow","Action":["iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeOrganization","account:ListRegions","account:GetAccountInformation"],"Resource":"*"}]})"},
    {"/", "ReadOnlyAccess", "Looking, not touching: KMS, IAM and STS.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Describe*","kms:Get*","kms:List*","iam:Get*","iam:List*","iam:Simulate*","sts:GetCallerIdentity"],"Resource":"*"}]})"},
    {"/", "AWSKeyManagementServicePowerUser", "Provides access to AWS Key Management Service (KMS).",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:CreateAlias","kms:CreateKey","kms:DeleteAlias","kms:Describe*","kms:GenerateRandom","kms:Get*","kms:List*","kms:TagResource","kms:UntagResource","iam:ListGroups","iam:ListRoles","iam:ListUsers"],"Resource":"*"}]})"},
    {"/", "IAMFullAccess", "Provides full access to IAM.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization"],"Resource":"*"}]})"},
    {"/", "IAMReadOnlyAccess", "Provides read only access to IAM.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GenerateCredentialReport","iam:GenerateServiceLastAccessedDetails","iam:Get*","iam:List*","iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]})"},
}};

constexpr std::string_view kProfileKind = "instance-profile";

void add_policies(std::vector<iam::NamedPolicy>& out, const State& state, const Entity& entity) {
  for (const auto& [name, document] : entity.inline_policies) out.push_back({name, document.policy});
  for (const std::string& arn : entity.attached) {
    if (const PolicyPtr policy = state.find_policy(arn)) out.push_back({policy->name, policy->document().policy});
  }
}

}  // namespace

iam::Tags list_of(const Tags& tags) {
  return {tags.begin(), tags.end()};
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kUser: return "user";
    case Kind::kGroup: return "group";
    case Kind::kRole: return "role";
  }
  return "user";
}

std::string Entity::arn() const {
  return fmt::format("arn:aws:iam::{}:{}{}{}", account, to_string(kind), path, name);
}

std::string ManagedPolicy::arn() const {
  return fmt::format("arn:aws:iam::{}:policy{}{}", account, path, name);
}

const PolicyVersion* ManagedPolicy::find_version(unsigned number) const {
  const auto it =
      std::find_if(versions.begin(), versions.end(), [&](const PolicyVersion& v) { return v.number == number; });
  return it == versions.end() ? nullptr : &*it;
}

const Document& ManagedPolicy::document() const {
  const PolicyVersion* version = find_version(default_version);
  CASEMATE_CHECK(version != nullptr);
  return version->document;
}

std::string InstanceProfile::arn() const {
  return fmt::format("arn:aws:iam::{}:instance-profile{}{}", account, path, name);
}

std::string State::slot(std::string_view account, std::string_view kind, std::string_view name) {
  return fmt::format("{}/{}/{}", account, kind, iam::fold(name));
}

EntityPtr State::find(std::string_view account, Kind kind, std::string_view name) const {
  const auto it = entities.find(slot(account, to_string(kind), name));
  return it == entities.end() ? nullptr : it->second;
}

EntityPtr State::find_role(std::string_view arn) const {
  const auto parsed = iam::parse_arn(arn);
  if (!parsed.ok() || parsed->service != "iam" || !parsed->resource.starts_with("role/")) return nullptr;
  EntityPtr role = find(parsed->account, Kind::kRole, parsed->resource.substr(parsed->resource.rfind('/') + 1));
  return role != nullptr && role->arn() == arn ? role : nullptr;
}

PolicyPtr State::find_policy(std::string_view arn) const {
  if (const auto it = policies.find(arn); it != policies.end()) return it->second;
  const auto it = aws_policies().find(arn);
  return it == aws_policies().end() ? nullptr : it->second;
}

ProfilePtr State::find_profile(std::string_view account, std::string_view name) const {
  const auto it = profiles.find(slot(account, kProfileKind, name));
  return it == profiles.end() ? nullptr : it->second;
}

std::vector<EntityPtr> State::of(std::string_view account, Kind kind) const {
  const std::string prefix = slot(account, to_string(kind), "");
  std::vector<EntityPtr> out;
  for (auto it = entities.lower_bound(prefix); it != entities.end() && it->first.starts_with(prefix); ++it)
    out.push_back(it->second);
  return out;
}

void State::put(Entity entity) {
  const std::string key = slot(entity.account, to_string(entity.kind), entity.name);
  for (const auto& [id, access_key] : entity.keys) key_owners[id] = key;
  entities[key] = std::make_shared<const Entity>(std::move(entity));
}

void State::put(ManagedPolicy policy) {
  const std::string arn = policy.arn();
  policies[arn] = std::make_shared<const ManagedPolicy>(std::move(policy));
}

void State::put(InstanceProfile profile) {
  const std::string key = slot(profile.account, kProfileKind, profile.name);
  profiles[key] = std::make_shared<const InstanceProfile>(std::move(profile));
}

void State::erase(const Entity& entity) {
  for (const auto& [id, access_key] : entity.keys) key_owners.erase(id);
  entities.erase(slot(entity.account, to_string(entity.kind), entity.name));
}

const std::map<std::string, PolicyPtr, std::less<>>& aws_policies() {
  static const auto kPolicies = [] {
    std::map<std::string, PolicyPtr, std::less<>> out;
    for (const AwsPolicy& one : kAwsPolicies) {
      ManagedPolicy policy;
      policy.account = "aws";
      policy.path = one.path;
      policy.name = one.name;
      policy.description = one.description;
      const std::string arn = policy.arn();
      policy.id = make_unique_id("ANPA", arn);
      auto parsed = iam::parse_policy(one.document, iam::PolicyType::kIdentity);
      CASEMATE_CHECK(parsed.ok());
      policy.versions = {{1, {std::string(one.document), parsed.take()}, {}}};
      out[arn] = std::make_shared<const ManagedPolicy>(std::move(policy));
    }
    return out;
  }();
  return kPolicies;
}

std::vector<iam::NamedPolicy> identity_policies_of(const State& state, const Entity& entity) {
  std::vector<iam::NamedPolicy> out;
  add_policies(out, state, entity);
  for (const std::string& name : entity.groups) {
    if (const EntityPtr group = state.find(entity.account, Kind::kGroup, name)) add_policies(out, state, *group);
  }
  return out;
}

std::optional<iam::NamedPolicy> boundary_of(const State& state, const Entity& entity) {
  if (entity.boundary.empty()) return std::nullopt;
  const PolicyPtr policy = state.find_policy(entity.boundary);
  // A boundary whose policy is gone bounds all the same: it allows nothing.
  if (policy == nullptr) return iam::NamedPolicy{entity.boundary, nullptr};
  return iam::NamedPolicy{policy->name, policy->document().policy};
}

bool principal_exists(const State& state, const iam::PrincipalName& name) {
  if (name.kind != iam::PrincipalKind::kAws) return true;
  const auto arn = iam::parse_arn(name.text);
  if (!arn.ok()) {
    if (iam::is_account_id(name.text) || name.text == "*") return true;
    // A unique id tells no account: whose it is nobody here knows, unless it is of someone who is here.
    return std::any_of(state.entities.begin(), state.entities.end(), [&](const auto& one) {
      return one.second->kind != Kind::kGroup && one.second->id == name.text;
    });
  }
  if (arn->partition != "aws") return false;
  if (!state.accounts.contains(std::string(arn->account)) || arn->resource == "root") return true;
  if (arn->resource.starts_with("federated-user/")) return true;
  const std::string_view last = arn->resource.substr(arn->resource.rfind('/') + 1);
  if (arn->resource.starts_with("user/")) {
    const EntityPtr user = state.find(arn->account, Kind::kUser, last);
    return user != nullptr && user->arn() == name.text;
  }
  if (arn->resource.starts_with("role/")) return state.find_role(name.text) != nullptr;
  // A session needs only its role: `assumed-role/NAME/SESSION`, whatever the role's path.
  constexpr std::string_view kSession = "assumed-role/";
  if (!arn->resource.starts_with(kSession)) return false;
  const std::string_view rest = arn->resource.substr(kSession.size());
  return state.find(arn->account, Kind::kRole, rest.substr(0, rest.find('/'))) != nullptr;
}

}  // namespace casemate::identity
