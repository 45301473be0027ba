// SPDX-License-Identifier: Apache-2.0
// Session tokens: all that a session is, sealed under a key that only the service has. Nothing is stored, so sessions
// outlive a restart and cost no memory. Access keys' secrets are sealed alike for the file that keeps them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "iam/principal.h"

namespace casemate::identity {

// Session is a role assumed by someone, a user's own temporary credentials, or those that a user gave a federated user,
// until it expires.
struct Session {
  std::string access_key_id;  // ASIA...
  Secret secret_access_key;
  std::string arn;             // of the role or the user
  std::string entity_id;       // its unique id: a successor of the same name has another
  std::string session_name;    // empty: a user's session
  std::string federated_name;  // of a federated user, whom the user of `arn` speaks for; else empty
  std::vector<std::string> policies;     // documents that narrow it
  std::vector<std::string> policy_arns;  // managed policies that narrow it
  iam::Tags tags;                        // of the session
  std::vector<std::string> transitive_tag_keys;
  std::string source_identity;
  WallTime issued;
  WallTime expires;
};

// Credentials are what a client of the session is given.
struct SessionCredentials {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;
  WallTime issued;
  WallTime expires;
};

class TokenSealer {
 public:
  // `key` is 32 bytes.
  explicit TokenSealer(Secret key);

  // seal gives base64 text that says nothing to anyone else.
  std::string seal(const Session& session, Rng& rng) const;
  // open gives the session, expired or not. Errors: kUntrusted.
  Result<Session> open(std::string_view token) const;

  // seal_secret binds a secret access key to its id; open_secret gives it back. Errors: kUntrusted.
  std::string seal_secret(std::string_view access_key_id, const Secret& secret, Rng& rng) const;
  Result<Secret> open_secret(std::string_view access_key_id, std::string_view sealed) const;

 private:
  std::string seal_text(std::string_view associated, const Secret& plain, Rng& rng) const;
  Result<Secret> open_text(std::string_view associated, std::string_view text) const;

  Secret key_;
};

// make_access_key_id gives `prefix` (AKIA, ASIA) and 16 characters of A to Z and 2 to 7, the first 8 of which tell the
// account, as on AWS.
std::string make_access_key_id(std::string_view prefix, std::string_view account, Rng& rng);
// account_of_key is the account that an access key id tells, or nothing when it is none of that form.
std::optional<std::string> account_of_key(std::string_view access_key_id);
// make_secret_access_key gives 40 characters of base64.
Secret make_secret_access_key(Rng& rng);
// make_unique_id gives `prefix` (AIDA, AROA) and 17 characters that depend on `name` alone, or random ones.
std::string make_unique_id(std::string_view prefix, std::string_view name);
std::string make_random_id(std::string_view prefix, Rng& rng);

}  // namespace casemate::identity
