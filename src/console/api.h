// SPDX-License-Identifier: Apache-2.0
// The console's JSON API: what the page shows and no service of AWS offers. Reads only; every request is signed
// (SigV4, service `casemate`) and decided by the policy engine.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/trust.h"
#include "base/log.h"
#include "console/links.h"
#include "iam/caller.h"
#include "json/value.h"
#include "os/paths.h"

namespace casemate::console {

// Session credentials, as a page gets them in exchange for a link.
struct Session {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;
  WallTime expires;
};

struct Options {
  std::string account;
  std::string region;
  std::string version;
  std::vector<std::string> hosts;  // names by which the page may be asked for; lower case, IPv6 in brackets
  os::Paths paths;
  attestation::TrustAnchors trust;
  std::chrono::seconds signature_skew{300};
  LinkLimits links;
};

// Parts must outlive the service.
struct Parts {
  iam::CredentialSource& credentials;
  const Clock& clock;
  Rng& rng;
  Log log;
  // issue makes credentials of a session of a user of the account.
  std::function<Result<Session>(std::string_view user, WallTime now)> issue;
  // audit writes an event before the answer leaves; if it cannot, the request fails.
  std::function<Result<void>(const json::Object& event)> audit;
};

class Api {
 public:
  Api(Parts parts, Options options);

  // handle answers a request for `path`, relative to the API.
  http::Response handle(const http::Request& request, std::string_view path);

 private:
  struct Authenticated;
  http::Response config(const http::Request& request) const;
  http::Response redeem(const http::Request& request);
  Result<json::Value> make_link(const http::Request& request, const iam::Caller& caller, WallTime now);
  Result<json::Value> enclaves() const;
  Result<json::Value> enclave_console(std::string_view id, std::string_view query) const;
  Result<json::Value> image(std::string_view query) const;
  Result<json::Value> document(std::string_view body, WallTime now) const;
  Result<json::Value> lint(const http::Request& request, const iam::Caller& caller, WallTime now) const;
  Result<json::Value> events(std::string_view query) const;
  Result<json::Value> event(std::string_view place) const;

  Parts parts_;
  const Options options_;
  Links links_;
};

}  // namespace casemate::console
