// SPDX-License-Identifier: Apache-2.0
// Directory: the identities of a platform while they are used and changed, and whose access keys and tokens are whose.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identity/model.h"
#include "identity/token.h"

namespace casemate::identity {

using StatePtr = std::shared_ptr<const State>;

// SessionRequest is what a session is to be; who may have it is the caller's business.
struct SessionRequest {
  std::string session_name;    // empty: a user's own session
  std::string federated_name;  // empty: of nobody but the user itself
  std::vector<std::string> policies;
  std::vector<std::string> policy_arns;
  iam::Tags tags;
  std::vector<std::string> transitive_tag_keys;
  std::string source_identity;
  std::chrono::seconds lifetime{3600};
};

// Directory may be used by several threads at once.
class Directory final : public iam::CredentialSource {
 public:
  // Save writes a state to where it outlives the process, before anyone sees it.
  using Save = std::function<Result<void>(const State& state)>;

  Directory(TokenSealer sealer, State state, Save save);

  StatePtr state() const;

  // change lets `edit` work on a copy, which is saved and then replaces the state; changes are one after the other. When
  // edit gives false, or saving fails, all stays as it was. Errors: those of Save.
  Result<bool> change(const std::function<bool(State&)>& edit);

  sigv4::Lookup<iam::CallerPtr> find(std::string_view access_key_id, std::optional<std::string_view> session_token,
                                     WallTime now) override;

  // issue makes credentials of a session of a role or a user.
  SessionCredentials issue(const Entity& entity, SessionRequest request, WallTime now, Rng& rng) const;

  const TokenSealer& sealer() const { return sealer_; }
  bool exists(const iam::PrincipalName& name) const { return principal_exists(*state(), name); }

 private:
  struct Known {
    Secret secret;
    iam::CallerPtr caller;
    WallTime expires;
  };
  static constexpr std::size_t kMostKnown = 4096;

  sigv4::Lookup<iam::CallerPtr> find_user(const State& state, std::string_view access_key_id) const;
  sigv4::Lookup<iam::CallerPtr> find_session(const State& state, const Session& session) const;

  const TokenSealer sealer_;
  const Save save_;
  std::mutex changing_;  // held by one change from copy to publication
  mutable std::mutex mutex_;
  StatePtr state_;
  // Callers worked out since the state last changed: by access key, and by key and token.
  std::unordered_map<std::string, Known> known_;
};

}  // namespace casemate::identity
