// SPDX-License-Identifier: Apache-2.0
// The EC2 instance metadata service (EC2 user guide, "Use IMDS"): versions 1 and 2, as the AWS SDKs ask it. A request
// in, a response out; credentials come from the caller.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "http/message.h"

namespace casemate::imds {

// RoleCredentials are what the instance's role is worth until `expiration`.
struct RoleCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  WallTime last_updated;
  WallTime expiration;
};

// CredentialProvider is asked for every credentials request and does its own caching and rotation.
using CredentialProvider = std::function<Result<RoleCredentials>()>;

// Instance is what the service tells about the machine it stands in for.
struct Instance {
  std::string account = "111122223333";
  std::string region = "us-east-1";
  std::string availability_zone;  // empty: the region and `a`
  std::string instance_id = "i-0123456789abcdef0";
  std::string role_name;             // empty: no role, and the iam tree does not exist
  std::string instance_profile_arn;  // empty: made from account and role
  std::string instance_profile_id = "AIPAEXAMPLECASEMATE00";
  std::string image_id = "ami-0123456789abcdef0";
  std::string instance_type = "m5.xlarge";
  std::string architecture = "x86_64";
  std::string private_ip = "127.0.0.1";
  WallTime pending_time;  // when the instance was started
  std::string user_data;  // empty: none
};

enum class Tokens { kOptional, kRequired };  // HttpTokens of ModifyInstanceMetadataOptions

class Service {
 public:
  // Tokens are stateless: an expiry and a nonce under an HMAC key drawn here, so they bind no memory and end with the
  // process. `clock` and `rng` outlive the service.
  Service(Instance instance, CredentialProvider provider, const Clock& clock, Rng& rng,
          Tokens tokens = Tokens::kOptional);

  // handle answers every request: 401 for a missing or unknown token, 403 for a proxied PUT (X-Forwarded-For) and for a
  // Host that is a name other than localhost (a web page's, by DNS rebinding), 404 for what is not there.
  http::Response handle(const http::Request& request) const;

 private:
  http::Response issue_token(const http::Request& request) const;
  bool token_valid(const std::string& token) const;
  http::Response read(std::string_view path) const;
  http::Response credentials() const;
  Bytes token_mac(ByteView claims) const;

  const Instance instance_;
  const CredentialProvider provider_;
  const Clock& clock_;
  Rng& rng_;
  const Tokens tokens_;
  Secret token_key_;
};

}  // namespace casemate::imds
