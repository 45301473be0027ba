// SPDX-License-Identifier: Apache-2.0
// Directory: who exists. The users and roles of the accounts, their policies, and the sessions made of roles.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "iam/caller.h"
#include "sts/token.h"

namespace casemate::sts {

struct User {
  std::string account;
  std::string path = "/";
  std::string name;
  std::vector<iam::NamedPolicy> policies;
  std::string access_key_id;
  Secret secret_access_key;
};

struct Role {
  std::string account;
  std::string path = "/";
  std::string name;
  std::vector<iam::NamedPolicy> policies;
  iam::PolicyPtr trust;  // who may assume it

  std::string arn() const;
};

// Directory is filled once and then shared by threads, which only read it.
class Directory final : public iam::CredentialSource {
 public:
  explicit Directory(TokenSealer sealer) : sealer_(std::move(sealer)) {}

  // Errors: kConflict (the name or the key exists).
  Result<void> add_user(User user);
  Result<void> add_role(Role role);

  const Role* find_role(std::string_view arn) const;

  sigv4::Lookup<iam::CallerPtr> find(std::string_view access_key_id, std::optional<std::string_view> session_token,
                                     WallTime now) override;

  // issue makes credentials of a session of a role that exists; who may have them is the caller's business.
  SessionCredentials issue(const Role& role, std::string_view session_name, std::vector<std::string> policies,
                           std::chrono::seconds lifetime, WallTime now, Rng& rng) const;

  // exists is for principals that policies name; accounts that are not here are taken to exist.
  bool exists(const iam::PrincipalName& name) const;

 private:
  struct Key {
    Secret secret;
    iam::CallerPtr caller;
  };
  sigv4::Lookup<iam::CallerPtr> find_session(std::string_view access_key_id, std::string_view token,
                                             WallTime now) const;

  TokenSealer sealer_;
  std::map<std::string, Key, std::less<>> keys_;
  std::map<std::string, Role, std::less<>> roles_;         // by ARN
  std::map<std::string, std::string, std::less<>> users_;  // ARN to access key id
  std::map<std::string, bool, std::less<>> accounts_;
};

}  // namespace casemate::sts
