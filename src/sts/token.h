// SPDX-License-Identifier: Apache-2.0
// Session tokens: all that a session is, sealed under a key that only the service has. Nothing is stored, so sessions
// outlive a restart and cost no memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace casemate::sts {

// Session is a role assumed by someone, until it expires.
struct Session {
  std::string access_key_id;  // ASIA...
  Secret secret_access_key;
  std::string role_arn;
  std::string session_name;
  std::vector<std::string> policies;  // documents that narrow it
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

 private:
  Secret key_;
};

// make_access_key_id gives `prefix` (AKIA, ASIA) and 16 characters of A to Z and 2 to 7.
std::string make_access_key_id(std::string_view prefix, Rng& rng);
// make_secret_access_key gives 40 characters of base64.
Secret make_secret_access_key(Rng& rng);
// make_unique_id gives `prefix` (AIDA, AROA) and 17 characters that depend on `name` alone.
std::string make_unique_id(std::string_view prefix, std::string_view name);

}  // namespace casemate::sts
