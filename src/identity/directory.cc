// SPDX-License-Identifier: Apache-2.0
#include "identity/directory.h"

#include <algorithm>

#include "crypto/digest.h"
#include "iam/arn.h"

namespace casemate::identity {
namespace {

// with_tags lays a session's tags over those of its role.
iam::Tags with_tags(const Tags& own, const iam::Tags& session) {
  iam::Tags out = session;
  for (const auto& tag : own) {
    const bool replaced = std::any_of(session.begin(), session.end(),
                                      [&](const auto& other) { return iam::fold(other.first) == iam::fold(tag.first); });
    if (!replaced) out.emplace_back(tag.first, tag.second);
  }
  return out;
}

EntityPtr entity_of(const State& state, const Session& session) {
  const auto arn = iam::parse_arn(session.arn);
  if (!arn.ok()) return nullptr;
  const std::string_view name = arn->resource.substr(arn->resource.rfind('/') + 1);
  const Kind kind = session.session_name.empty() ? Kind::kUser : Kind::kRole;
  EntityPtr entity = state.find(arn->account, kind, name);
  return entity != nullptr && entity->id == session.entity_id ? entity : nullptr;
}

std::string cache_key(std::string_view access_key_id, std::string_view token) {
  const auto digest = crypto::sha256(as_bytes(token));
  return std::string(access_key_id) + std::string(as_text(digest));
}

}  // namespace

Directory::Directory(TokenSealer sealer, State state, Save save)
    : sealer_(std::move(sealer)), save_(std::move(save)), state_(std::make_shared<const State>(std::move(state))) {}

StatePtr Directory::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<bool> Directory::change(const std::function<bool(State&)>& edit) {
  const std::lock_guard one(changing_);
  auto next = std::make_shared<State>(*state());
  if (!edit(*next)) return false;
  TRY(save_(*next));
  const std::lock_guard lock(mutex_);
  state_ = std::move(next);
  known_.clear();
  return true;
}

sigv4::Lookup<iam::CallerPtr> Directory::find(std::string_view access_key_id,
                                              std::optional<std::string_view> session_token, WallTime now) {
  const std::string key = session_token ? cache_key(access_key_id, *session_token) : std::string(access_key_id);
  StatePtr state;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = known_.find(key); it != known_.end() && now < it->second.expires)
      return {sigv4::Found::kCredential, it->second.secret.clone(), it->second.caller};
    state = state_;
  }
  sigv4::Lookup<iam::CallerPtr> found;
  WallTime expires = WallTime::max();
  if (session_token) {
    const auto session = sealer_.open(*session_token);
    if (!session.ok()) return {sigv4::Found::kUndecodableToken, {}, nullptr};
    if (session->access_key_id != access_key_id) return {};
    if (now >= session->expires) return {sigv4::Found::kExpiredToken, {}, nullptr};
    expires = session->expires;
    found = find_session(*state, *session);
  } else {
    found = find_user(*state, access_key_id);
  }
  if (found.found != sigv4::Found::kCredential) return found;
  const std::lock_guard lock(mutex_);
  if (state == state_) {
    if (known_.size() >= kMostKnown) known_.clear();
    known_.insert_or_assign(key, Known{found.secret_access_key.clone(), found.identity, expires});
  }
  return found;
}

sigv4::Lookup<iam::CallerPtr> Directory::find_user(const State& state, std::string_view access_key_id) const {
  const auto owner = state.key_owners.find(access_key_id);
  if (owner == state.key_owners.end()) return {};
  const auto it = state.entities.find(owner->second);
  CASEMATE_CHECK(it != state.entities.end());
  const Entity& user = *it->second;
  const auto key = user.keys.find(std::string(access_key_id));
  if (key == user.keys.end() || !key->second.active) return {};
  auto caller = std::make_shared<iam::Caller>();
  caller->principal = iam::user(user.account, user.path, user.name, user.id, list_of(user.tags));
  caller->access_key_id = access_key_id;
  caller->identity_policies = identity_policies_of(state, user);
  caller->permissions_boundary = boundary_of(state, user);
  return {sigv4::Found::kCredential, key->second.secret->clone(), std::move(caller)};
}

sigv4::Lookup<iam::CallerPtr> Directory::find_session(const State& state, const Session& session) const {
  const EntityPtr entity = entity_of(state, session);
  if (entity == nullptr) return {};
  auto caller = std::make_shared<iam::Caller>();
  const iam::Tags tags = with_tags(entity->tags, session.tags);
  if (!session.federated_name.empty()) {
    caller->principal = iam::federated_user(entity->account, session.federated_name, session.tags);
    // What the user does not hand over, a federated user does not have.
    if (session.policies.empty() && session.policy_arns.empty())
      caller->session_policies.push_back({"no session policy", nullptr});
  } else if (entity->kind == Kind::kRole) {
    caller->principal =
        iam::assumed_role(entity->account, entity->path, entity->name, entity->id, session.session_name, tags);
  } else {
    caller->principal = iam::user(entity->account, entity->path, entity->name, entity->id, tags);
  }
  caller->access_key_id = session.access_key_id;
  caller->identity_policies = identity_policies_of(state, *entity);
  caller->permissions_boundary = boundary_of(state, *entity);
  for (const std::string& text : session.policies) {
    auto policy = iam::parse_policy(text, iam::PolicyType::kSession);
    if (!policy.ok()) return {};
    caller->session_policies.push_back({"session policy", policy.take()});
  }
  for (const std::string& arn : session.policy_arns) {
    // A managed policy that is gone narrows all the same: it allows nothing.
    const PolicyPtr policy = state.find_policy(arn);
    caller->session_policies.push_back({arn, policy == nullptr ? nullptr : policy->document().policy});
  }
  caller->token_issue_time = session.issued;
  caller->multi_factor = false;
  caller->transitive_tag_keys = session.transitive_tag_keys;
  caller->source_identity = session.source_identity;
  return {sigv4::Found::kCredential, session.secret_access_key.clone(), std::move(caller)};
}

SessionCredentials Directory::issue(const Entity& entity, SessionRequest request, WallTime now, Rng& rng) const {
  Session session;
  session.access_key_id = make_access_key_id("ASIA", entity.account, rng);
  session.secret_access_key = make_secret_access_key(rng);
  session.arn = entity.arn();
  session.entity_id = entity.id;
  session.session_name = std::move(request.session_name);
  session.federated_name = std::move(request.federated_name);
  session.policies = std::move(request.policies);
  session.policy_arns = std::move(request.policy_arns);
  session.tags = std::move(request.tags);
  session.transitive_tag_keys = std::move(request.transitive_tag_keys);
  session.source_identity = std::move(request.source_identity);
  session.issued = now;
  session.expires = now + request.lifetime;
  SessionCredentials credentials;
  credentials.session_token = sealer_.seal(session, rng);
  credentials.access_key_id = session.access_key_id;
  credentials.secret_access_key = std::move(session.secret_access_key);
  credentials.issued = session.issued;
  credentials.expires = session.expires;
  return credentials;
}

}  // namespace casemate::identity
