// SPDX-License-Identifier: Apache-2.0
#include "sts/directory.h"

#include "iam/arn.h"

namespace casemate::sts {

std::string Role::arn() const {
  return fmt::format("arn:aws:iam::{}:role{}{}", account, path, name);
}

Result<void> Directory::add_user(User user) {
  auto caller = std::make_shared<iam::Caller>();
  const std::string arn = fmt::format("arn:aws:iam::{}:user{}{}", user.account, user.path, user.name);
  caller->principal = iam::user(user.account, user.path, user.name, make_unique_id("AIDA", arn));
  caller->access_key_id = user.access_key_id;
  caller->identity_policies = std::move(user.policies);
  if (!users_.emplace(arn, user.access_key_id).second) return conflict("user {}: exists", arn);
  if (!keys_.emplace(user.access_key_id, Key{std::move(user.secret_access_key), std::move(caller)}).second) {
    return conflict("access key {}: exists", user.access_key_id);
  }
  accounts_[user.account] = true;
  return {};
}

Result<void> Directory::add_role(Role role) {
  const std::string arn = role.arn();
  accounts_[role.account] = true;
  if (!roles_.emplace(arn, std::move(role)).second) return conflict("role {}: exists", arn);
  return {};
}

const Role* Directory::find_role(std::string_view arn) const {
  const auto it = roles_.find(arn);
  return it == roles_.end() ? nullptr : &it->second;
}

sigv4::Lookup<iam::CallerPtr> Directory::find(std::string_view access_key_id,
                                              std::optional<std::string_view> session_token, WallTime now) {
  if (session_token) return find_session(access_key_id, *session_token, now);
  const auto it = keys_.find(access_key_id);
  if (it == keys_.end()) return {};
  return {sigv4::Found::kCredential, it->second.secret.clone(), it->second.caller};
}

sigv4::Lookup<iam::CallerPtr> Directory::find_session(std::string_view access_key_id, std::string_view token,
                                                      WallTime now) const {
  auto session = sealer_.open(token);
  if (!session.ok()) return {sigv4::Found::kUndecodableToken, {}, nullptr};
  if (session->access_key_id != access_key_id) return {};
  if (now >= session->expires) return {sigv4::Found::kExpiredToken, {}, nullptr};
  const Role* role = find_role(session->role_arn);
  if (role == nullptr) return {};
  auto caller = std::make_shared<iam::Caller>();
  caller->principal = iam::assumed_role(role->account, role->path, role->name,
                                        make_unique_id("AROA", session->role_arn), session->session_name);
  caller->access_key_id = session->access_key_id;
  caller->identity_policies = role->policies;
  for (const std::string& text : session->policies) {
    auto policy = iam::parse_policy(text, iam::PolicyType::kSession);
    if (!policy.ok()) return {};
    caller->session_policies.push_back({"session policy", policy.take()});
  }
  caller->token_issue_time = session->issued;
  caller->multi_factor = false;
  return {sigv4::Found::kCredential, std::move(session->secret_access_key), std::move(caller)};
}

SessionCredentials Directory::issue(const Role& role, std::string_view session_name, std::vector<std::string> policies,
                                    std::chrono::seconds lifetime, WallTime now, Rng& rng) const {
  Session session;
  session.access_key_id = make_access_key_id("ASIA", rng);
  session.secret_access_key = make_secret_access_key(rng);
  session.role_arn = role.arn();
  session.session_name = session_name;
  session.policies = std::move(policies);
  session.issued = now;
  session.expires = now + lifetime;
  SessionCredentials credentials;
  credentials.session_token = sealer_.seal(session, rng);
  credentials.access_key_id = session.access_key_id;
  credentials.secret_access_key = std::move(session.secret_access_key);
  credentials.issued = session.issued;
  credentials.expires = session.expires;
  return credentials;
}

bool Directory::exists(const iam::PrincipalName& name) const {
  if (name.kind != iam::PrincipalKind::kAws) return true;
  const auto arn = iam::parse_arn(name.text);
  if (!arn.ok()) return iam::is_account_id(name.text) || name.text == "*";
  if (arn->partition != "aws") return false;
  if (!accounts_.contains(arn->account) || arn->resource == "root") return true;
  if (users_.contains(name.text) || roles_.contains(name.text)) return true;
  // A session needs only its role: `assumed-role/NAME/SESSION`, whatever the role's path.
  constexpr std::string_view kSession = "assumed-role/";
  if (!arn->resource.starts_with(kSession)) return false;
  const std::string_view rest = arn->resource.substr(kSession.size());
  const std::string_view role_name = rest.substr(0, rest.find('/'));
  for (const auto& [role_arn, role] : roles_) {
    if (role.account == arn->account && role.name == role_name) return true;
  }
  return false;
}

}  // namespace casemate::sts
