// SPDX-License-Identifier: Apache-2.0
// AWS credentials, and where they come from. In an enclave the parent serves or sends them; on the parent see parent.h.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "casemate/result.h"

namespace casemate {

// Now tells the time: for tests, and for programs that trust another clock than the system's.
using Now = std::function<std::chrono::sys_seconds()>;

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;  // empty for long-term credentials
  std::optional<std::chrono::sys_seconds> expires;
};

// parse_credentials reads one JSON object with AccessKeyId, SecretAccessKey, Token or SessionToken, and Expiration (RFC 3339):
// what instance metadata, `aws configure export-credentials` and the credentials server write. Further members are
// ignored. At most 64 KiB. Errors: kMalformed (naming the member), kLimit; kUnavailable with the message of {"error"}.
Result<Credentials> parse_credentials(std::string_view text);

// A provider is asked before every request and renews by itself; it is used from several threads.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  virtual Result<std::shared_ptr<const Credentials>> get(std::chrono::milliseconds timeout) = 0;
};

std::shared_ptr<CredentialsProvider> static_credentials(Credentials credentials);

struct RenewalOptions {
  // Before they expire; a renewal that fails is tried again with the next request, which goes on with the old ones.
  std::chrono::seconds renew_before = std::chrono::minutes{5};
  // Credentials without an expiry are fetched again after this long.
  std::chrono::seconds keep = std::chrono::minutes{15};
  Now now = nullptr;  // empty: the system's clock
};

// renewed_credentials calls `fetch` when there are none yet and when it is time to renew; one thread fetches while the others
// go on with what they have.
using FetchCredentials = std::function<Result<Credentials>(std::chrono::milliseconds timeout)>;
std::shared_ptr<CredentialsProvider> renewed_credentials(FetchCredentials fetch, RenewalOptions options);
std::shared_ptr<CredentialsProvider> renewed_credentials(FetchCredentials fetch);

// vsock_credentials are what the parent serves on this port of CID 3 (casemate-credentials-server, docs/kms-proxy.md): one JSON
// object a connection, sent at once.
std::shared_ptr<CredentialsProvider> vsock_credentials(std::uint32_t port = 8001, RenewalOptions options = {});

}  // namespace casemate
