// SPDX-License-Identifier: Apache-2.0
// Who exists: accounts, users, groups, roles, managed policies and instance profiles, as values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "iam/caller.h"

namespace casemate::identity {

// Times are written as milliseconds since the epoch.
constexpr std::int64_t to_milliseconds(WallTime time) { return time.time_since_epoch().count(); }

struct Document {
  std::string text;
  iam::PolicyPtr policy;
};

// Tags are ordered by key, which compares with its case; keys that differ only in case do not occur together.
using Tags = std::map<std::string, std::string>;
iam::Tags list_of(const Tags& tags);

struct AccessKey {
  std::string id;      // AKIA...
  std::string sealed;  // the secret as it is stored
  std::shared_ptr<const Secret> secret;
  bool active = true;
  WallTime created;
};

enum class Kind { kUser, kGroup, kRole };
std::string_view to_string(Kind kind);  // `user`, as in ARNs

// Entity is a user, a group or a role; what its kind does not have stays empty.
struct Entity {
  Kind kind = Kind::kUser;
  std::string account;
  std::string path = "/";  // begins and ends with a slash
  std::string name;        // unique in its account and kind, whatever the case
  std::string id;          // AIDA..., AGPA..., AROA...: of this entity, not of its successor of the same name
  WallTime created;
  Tags tags;                                        // users and roles
  std::map<std::string, Document> inline_policies;  // by name
  std::vector<std::string> attached;                // ARNs of managed policies, in order of attachment
  std::string boundary;                             // ARN of a managed policy; users and roles

  std::set<std::string> groups;           // names, of a user
  std::map<std::string, AccessKey> keys;  // by id, of a user

  Document trust;  // of a role: who may assume it
  std::string description;
  std::chrono::seconds max_session{3600};

  std::string arn() const;
};

struct PolicyVersion {
  unsigned number = 1;
  Document document;
  WallTime created;
};

struct ManagedPolicy {
  std::string account;  // `aws` for those that every account has
  std::string path = "/";
  std::string name;
  std::string id;  // ANPA...
  std::string description;
  WallTime created;
  WallTime updated;
  std::vector<PolicyVersion> versions;  // by number; at least one
  unsigned default_version = 1;
  unsigned next_version = 2;
  Tags tags;

  std::string arn() const;
  const PolicyVersion* find_version(unsigned number) const;
  const Document& document() const;  // of the default version
};

struct InstanceProfile {
  std::string account;
  std::string path = "/";
  std::string name;
  std::string id;  // AIPA...
  WallTime created;
  Tags tags;
  std::string role;  // name; empty: none yet

  std::string arn() const;
};

using EntityPtr = std::shared_ptr<const Entity>;
using PolicyPtr = std::shared_ptr<const ManagedPolicy>;
using ProfilePtr = std::shared_ptr<const InstanceProfile>;

// State is everything at one moment. Its parts are shared and never change: a copy is cheap, and whoever holds a State
// sees one consistent world.
struct State {
  std::map<std::string, std::string> accounts;  // id to alias, which may be empty
  std::map<std::string, EntityPtr, std::less<>> entities;
  std::map<std::string, PolicyPtr, std::less<>> policies;  // by ARN; without AWS's
  std::map<std::string, ProfilePtr, std::less<>> profiles;
  std::map<std::string, std::string, std::less<>> key_owners;  // access key id to the key in `entities`

  // slot is the key of `entities` and `profiles`: account, kind and the name in lower case.
  static std::string slot(std::string_view account, std::string_view kind, std::string_view name);

  EntityPtr find(std::string_view account, Kind kind, std::string_view name) const;
  // find_role takes `arn:aws:iam::ACCOUNT:role/PATH/NAME`, as exact as it is written.
  EntityPtr find_role(std::string_view arn) const;
  PolicyPtr find_policy(std::string_view arn) const;  // AWS's too
  ProfilePtr find_profile(std::string_view account, std::string_view name) const;

  // of gives an account's entities of a kind, by name.
  std::vector<EntityPtr> of(std::string_view account, Kind kind) const;

  void put(Entity entity);
  void put(ManagedPolicy policy);
  void put(InstanceProfile profile);
  void erase(const Entity& entity);
};

// aws_policies are the managed policies that every account has, a few of AWS's.
const std::map<std::string, PolicyPtr, std::less<>>& aws_policies();

// identity_policies_of are an entity's inline and attached policies, and those of a user's groups.
std::vector<iam::NamedPolicy> identity_policies_of(const State& state, const Entity& entity);
std::optional<iam::NamedPolicy> boundary_of(const State& state, const Entity& entity);

// principal_exists is for principals that policies name; accounts that are not here are taken to exist.
bool principal_exists(const State& state, const iam::PrincipalName& name);

}  // namespace casemate::identity
