// SPDX-License-Identifier: Apache-2.0
// The signer's half.
#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/text.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "sigv4/canonical.h"
#include "sigv4/sigv4.h"

namespace casemate::sigv4 {
namespace {

// What intermediaries may change, and the signature itself.
constexpr std::array<std::string_view, 6> kUnsigned = {"authorization",     "connection", "expect",
                                                       "transfer-encoding", "user-agent", "x-amzn-trace-id"};

std::vector<std::string> headers_to_sign(const http::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, value] : headers) {
    std::string folded = to_lower(name);
    if (std::find(kUnsigned.begin(), kUnsigned.end(), folded) == kUnsigned.end()) names.push_back(std::move(folded));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

struct Parts {
  std::string path;
  Parameters query;
};

Result<Parts> split_target(const http::Request& request) {
  if (request.headers.find("host") == nullptr) return malformed("request: no Host header to sign");
  auto path = canonical_path(request.path());
  if (!path) return malformed("request: path is not absolute or climbs above its root");
  auto query = parse_query(request.query());
  if (!query) return malformed("request: query has a broken escape");
  return Parts{std::move(*path), std::move(*query)};
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ';';
    out += name;
  }
  return out;
}

}  // namespace

Credentials Credentials::of(std::string_view access_key_id, std::string_view secret_access_key,
                            std::string_view session_token) {
  return {std::string(access_key_id), Secret::copy_of(as_bytes(secret_access_key)), std::string(session_token)};
}

Result<void> sign(http::Request& request, const Credentials& credentials, std::string_view region,
                  std::string_view service, WallTime now, const SignOptions& options) {
  const Parts parts = TRY(split_target(request));
  const std::string time = format_basic(now);
  const std::string date = time.substr(0, 8);
  const std::string payload_hash = encode_hex(crypto::sha256(as_bytes(request.body)));

  request.headers.set("X-Amz-Date", time);
  if (options.content_hash == ContentHash::kAdd) request.headers.set("X-Amz-Content-Sha256", payload_hash);
  const bool token = !credentials.session_token.empty();
  if (token && options.token_header == TokenHeader::kSigned) {
    request.headers.set("X-Amz-Security-Token", credentials.session_token);
  }

  const std::vector<std::string> names = headers_to_sign(request.headers);
  const std::string canonical =
      canonical_request(request.method, parts.path, canonical_query(parts.query), request.headers, names, payload_hash);
  const std::string scope = fmt::format("{}/{}/{}/{}", date, region, service, kTerminator);
  const Secret key = signing_key(credentials.secret_access_key, date, region, service);
  request.headers.set("Authorization",
                      fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                                  credentials.access_key_id, scope, join(names),
                                  signature(key, string_to_sign(time, scope, canonical))));
  if (token && options.token_header == TokenHeader::kAfterSigning) {
    request.headers.set("X-Amz-Security-Token", credentials.session_token);
  }
  return {};
}

Result<void> presign(http::Request& request, const Credentials& credentials, std::string_view region,
                     std::string_view service, WallTime now, std::chrono::seconds expires) {
  Parts parts = TRY(split_target(request));
  const std::string time = format_basic(now);
  const std::string date = time.substr(0, 8);
  const std::string scope = fmt::format("{}/{}/{}/{}", date, region, service, kTerminator);
  parts.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  parts.query.emplace_back("X-Amz-Credential", credentials.access_key_id + "/" + scope);
  parts.query.emplace_back("X-Amz-Date", time);
  parts.query.emplace_back("X-Amz-Expires", std::to_string(expires.count()));
  parts.query.emplace_back("X-Amz-SignedHeaders", "host");
  if (!credentials.session_token.empty()) parts.query.emplace_back("X-Amz-Security-Token", credentials.session_token);

  const std::string query = canonical_query(parts.query);
  const std::string canonical = canonical_request(request.method, parts.path, query, request.headers, {"host"},
                                                  encode_hex(crypto::sha256(as_bytes(request.body))));
  const Secret key = signing_key(credentials.secret_access_key, date, region, service);
  const std::string path(request.path());
  request.target = path + "?" + query + "&X-Amz-Signature=" + signature(key, string_to_sign(time, scope, canonical));
  return {};
}

}  // namespace casemate::sigv4
