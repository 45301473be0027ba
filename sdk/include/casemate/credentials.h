// SPDX-License-Identifier: Apache-2.0
// AWS credentials, and where they come from. In an enclave the parent sends them; on the parent see parent.h.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "casemate/result.h"

namespace casemate {

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;  // empty for long-term credentials
  std::optional<std::chrono::sys_seconds> expires;
};

// A provider is asked before every request and renews by itself; it is used from several threads.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  virtual Result<std::shared_ptr<const Credentials>> get(std::chrono::milliseconds timeout) = 0;
};

std::shared_ptr<CredentialsProvider> static_credentials(Credentials credentials);

}  // namespace casemate
