// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4: signing for clients, verification for services, in AWS's order and with AWS's texts.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "http/message.h"

namespace casemate::sigv4 {

// ---- Signing

struct Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;  // empty: long-term credentials

  static Credentials of(std::string_view access_key_id, std::string_view secret_access_key,
                        std::string_view session_token = {});
};

enum class ContentHash { kOmit, kAdd };
enum class TokenHeader { kSigned, kAfterSigning };

struct SignOptions {
  ContentHash content_hash = ContentHash::kOmit;  // whether to send x-amz-content-sha256
  TokenHeader token_header = TokenHeader::kSigned;
};

// sign adds x-amz-date, x-amz-security-token (when there is a token), x-amz-content-sha256 (on request) and Authorization,
// and signs every header but Authorization, Connection, Expect, Transfer-Encoding, User-Agent and X-Amzn-Trace-Id.
// Errors: kMalformed (no Host header, a path that is not absolute, a broken query).
Result<void> sign(http::Request& request, const Credentials& credentials, std::string_view region,
                  std::string_view service, WallTime now, const SignOptions& options = {});

// presign puts the signature into the query instead; it covers the host header and the body as it is. Errors: as sign.
Result<void> presign(http::Request& request, const Credentials& credentials, std::string_view region,
                     std::string_view service, WallTime now, std::chrono::seconds expires);

// ---- Verification

enum class FailureKind {
  kBadRequest,            // the request line cannot be read: 400, no body
  kMalformedQuery,        // the query string cannot be read
  kMissingToken,          // not signed
  kIncomplete,            // the signature's own parts are missing or malformed
  kMismatch,              // wrong signature, time, region, service or scope
  kInvalidToken,          // unknown access key or session token
  kExpiredToken,          // session token past its end
};

// Failure carries the text that AWS answers. It never holds secrets.
struct Failure {
  FailureKind kind;
  std::string message;
};

// WireError is a failure as one protocol names it: `code` empty means no body at all.
struct WireError {
  std::string_view code;
  unsigned status;
};
WireError json_error(FailureKind kind);   // awsJson (KMS)
WireError query_error(FailureKind kind);  // query (STS, IAM)

enum class Found {
  kCredential,
  kUnknownKey,          // no such access key, or the key and the token do not belong together
  kUndecodableToken,    // not a token that this service made
  kExpiredToken,
};

// Lookup is what a CredentialSource knows of an access key; `secret_access_key` and `identity` count only when found.
template <typename Identity>
struct Lookup {
  Found found = Found::kUnknownKey;
  Secret secret_access_key;
  Identity identity{};
};

// CredentialSource finds the secret and the owner of an access key. `session_token` is absent for long-term keys.
template <typename Identity>
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  virtual Lookup<Identity> find(std::string_view access_key_id, std::optional<std::string_view> session_token,
                                WallTime now) = 0;
};

// Expectation is what a service accepts.
struct Expectation {
  std::vector<std::string> services;  // the credential scope must name one of them; the first is named in errors
  std::vector<std::string> regions;
  std::chrono::seconds skew{300};  // either way; 5 minutes as KMS has
};

enum class Carrier { kHeader, kQuery };

// Presented is a request's authentication after every check that needs no secret.
struct Presented {
  Carrier carrier = Carrier::kHeader;
  std::string access_key_id;
  std::string date;  // YYYYMMDD of the scope
  std::string region;
  std::string service;
  std::optional<std::string> session_token;
  std::string signature;
  std::string string_to_sign;
};

// Authorization is the header's content, parsed but not judged.
struct Authorization {
  std::string credential;
  std::vector<std::string> signed_headers;
  std::string signature;
};

// parse_authorization reads an Authorization header: algorithm, then comma separated key=value pairs of which the last
// of each name counts. Missing parts are empty.
std::variant<Authorization, Failure> parse_authorization(std::string_view header);

// scoped_service is the service that the request's credential scope names, or empty: for routing before verification,
// so nothing may be trusted because of it.
std::string scoped_service(const http::Request& request);

// SigningKeys keeps what was derived from an access key's secret for a day, a region and a service, so that a busy caller's
// is derived once. It gives a key only for the very secret that it was derived from. Holds a bounded number, and none of a day
// once a later one was asked for, so that a deleted access key's goes with its day. May be used by several threads.
class SigningKeys {
 public:
  std::shared_ptr<const Secret> get(const Presented& presented, const Secret& secret_access_key);
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return known_.size();
  }

 private:
  struct Known {
    std::string date;
    Secret secret_access_key;
    std::shared_ptr<const Secret> key;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;
};

// examine makes the checks up to the credential scope; find_failure turns a look-up into AWS's answer; check_signature
// compares in constant time. verify is their composition.
std::variant<Presented, Failure> examine(const http::Request& request, const Expectation& expectation, WallTime now);
std::optional<Failure> find_failure(Found found);
std::optional<Failure> check_signature(const Presented& presented, const Secret& secret_access_key, SigningKeys* known = nullptr);

template <typename Identity>
struct Authenticated {
  Identity identity;
  std::string access_key_id;
  std::string service;
  std::string region;
  Carrier carrier = Carrier::kHeader;
  bool temporary = false;  // came with a session token
};

template <typename Identity>
using Verdict = std::variant<Authenticated<Identity>, Failure>;

// verify authenticates a request: AWS's checks in AWS's order, so that the first failure is the one AWS would report.
// Success means: the holder of the access key's secret signed this method, path, query, body and signed headers within
// the skew of now, for this service and region.
template <typename Identity>
Verdict<Identity> verify(const http::Request& request, const Expectation& expectation, WallTime now,
                         CredentialSource<Identity>& source, SigningKeys* known = nullptr) {
  auto examined = examine(request, expectation, now);
  if (auto* failure = std::get_if<Failure>(&examined)) return std::move(*failure);
  Presented& presented = std::get<Presented>(examined);
  std::optional<std::string_view> token;
  if (presented.session_token) token = *presented.session_token;
  Lookup<Identity> lookup = source.find(presented.access_key_id, token, now);
  if (auto failure = find_failure(lookup.found)) return std::move(*failure);
  if (auto failure = check_signature(presented, lookup.secret_access_key, known)) return std::move(*failure);
  return Authenticated<Identity>{std::move(lookup.identity), std::move(presented.access_key_id),
                                 std::move(presented.service), std::move(presented.region), presented.carrier,
                                 token.has_value()};
}

}  // namespace casemate::sigv4
