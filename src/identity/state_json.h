// SPDX-License-Identifier: Apache-2.0
// The file form of a State (identity.json), and the declarations of `casemate up --accounts`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/model.h"
#include "identity/token.h"
#include "json/value.h"

namespace casemate::identity {

// encode_state writes everything; secrets of access keys only sealed.
std::string encode_state(const State& state);

// parse_state reads it back; without a sealer the access keys come without their secrets. Errors: kMalformed, kLimit (64 MiB), naming the member; kUntrusted (a secret sealed under
// another root key).
inline constexpr std::size_t kLongestState = std::size_t{64} * 1024 * 1024;
Result<State> parse_state(std::string_view text, const TokenSealer* sealer);

// NewKey is an access key that was made for a user, to be told to its owner once.
struct NewKey {
  std::string account;
  std::string user;
  std::string id;
  std::shared_ptr<const Secret> secret;
};

// Founder makes identities when a platform starts.
class Founder {
 public:
  Founder(State& state, const TokenSealer& sealer, WallTime now, Rng& rng)
      : state_(state), sealer_(sealer), now_(now), rng_(rng) {}

  // found_account adds an account, unless it is there, with the user `admin` (AdministratorAccess).
  void found_account(std::string_view account, std::string_view alias = {});

  // add_key gives a user an access key: that one, or a new one when `id` is empty. A key that is there stays.
  void add_key(std::string_view account, std::string_view user, std::string_view id, const Secret& secret);

  // add_instance_role adds the role and its instance profile unless they are there. Errors: kMalformed.
  Result<void> add_instance_role(std::string_view role_arn);

  // declare adds the accounts of a declaration that are not here yet, each with an administrator that has a key:
  //   {"accounts": [{"id", "alias",
  //     "policies": [{"name", "path", "document"}],
  //     "groups": [ENTITY], "users": [ENTITY + {"groups": [NAME], "accessKey": true}],
  //     "roles": [ENTITY + {"trust": DOCUMENT, "description", "maxSessionDuration"}],
  //     "instanceProfiles": [{"name", "path", "role"}]}]}
  // where ENTITY is {"name", "path", "tags": {}, "policies": {NAME: DOCUMENT}, "managedPolicies": [ARN], "boundary"}.
  // Errors: kMalformed, kConflict, kNotFound naming the member; the state is then half changed and to be thrown away.
  Result<void> declare(const json::Value& declaration);

  std::vector<NewKey> take_keys() { return std::move(keys_); }

 private:
  Result<void> declare_account(const json::Value& value);
  Result<void> declare_entity(const json::Value& value, std::string_view account, Kind kind);

  State& state_;
  const TokenSealer& sealer_;
  WallTime now_;
  Rng& rng_;
  std::vector<NewKey> keys_;
};

}  // namespace casemate::identity
