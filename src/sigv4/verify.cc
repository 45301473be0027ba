// SPDX-License-Identifier: Apache-2.0
// The verifier's half. The order of the checks is the order in which AWS reports failures.
#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "base/text.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "sigv4/canonical.h"
#include "sigv4/sigv4.h"

namespace casemate::sigv4 {
namespace {

// A request signs a handful of headers; each costs a pass over all, so that the count must be bounded.
constexpr std::size_t kMostSignedHeaders = 128;

constexpr std::string_view kMismatchText =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details.";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  out.reserve(8);
  while (true) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> header_list(std::string_view text) {
  if (text.empty()) return {};
  const std::string folded = to_lower(text);
  const auto names = split(folded, ';');
  return {names.begin(), names.end()};
}

std::string hashed(std::string_view text) {
  return encode_base64(crypto::sha256(as_bytes(text)));
}

const std::string* first(const Parameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

// Claims are what the request says about its own authentication, whichever way it is carried.
struct Claims {
  Carrier carrier = Carrier::kHeader;
  Authorization authorization;
  std::string date;
  std::optional<std::string> token;
  std::optional<std::string> expires;
};

Failure incomplete(std::string message) {
  return {FailureKind::kIncomplete, std::move(message)};
}
Failure mismatch(std::string message) {
  return {FailureKind::kMismatch, std::move(message)};
}

std::variant<Claims, Failure> read_header(const http::Request& request, const std::string& header) {
  auto parsed = parse_authorization(header);
  if (auto* failure = std::get_if<Failure>(&parsed)) return std::move(*failure);
  Claims claims;
  claims.authorization = std::move(std::get<Authorization>(parsed));
  const std::string* date = request.headers.find("x-amz-date");
  if (date == nullptr) date = request.headers.find("date");

  std::string missing;
  if (claims.authorization.credential.empty()) missing += "Authorization header requires 'Credential' parameter. ";
  if (claims.authorization.signature.empty()) missing += "Authorization header requires 'Signature' parameter. ";
  if (claims.authorization.signed_headers.empty()) {
    missing += "Authorization header requires 'SignedHeaders' parameter. ";
  }
  if (date == nullptr) {
    missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
  }
  if (!missing.empty()) {
    return incomplete(missing + "(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(header));
  }
  claims.date = std::string(trim(date == nullptr ? std::string_view{} : std::string_view(*date)));
  if (const std::string* token = request.headers.find("x-amz-security-token")) claims.token = std::string(trim(*token));
  return claims;
}

std::variant<Claims, Failure> read_query(const Parameters& parameters, const std::string& algorithm) {
  if (algorithm != kAlgorithm) return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm));
  Claims claims;
  claims.carrier = Carrier::kQuery;
  const std::string* credential = first(parameters, "X-Amz-Credential");
  const std::string* signature = first(parameters, "X-Amz-Signature");
  const std::string* signed_headers = first(parameters, "X-Amz-SignedHeaders");
  const std::string* date = first(parameters, "X-Amz-Date");
  std::string missing;
  const auto need = [&](const std::string* value, std::string_view name) {
    if (value == nullptr || value->empty()) {
      missing += fmt::format("AWS query-string parameters must include '{}'. ", name);
    }
  };
  need(credential, "X-Amz-Credential");
  need(signature, "X-Amz-Signature");
  need(signed_headers, "X-Amz-SignedHeaders");
  need(date, "X-Amz-Date");
  if (!missing.empty() || credential == nullptr || signature == nullptr || signed_headers == nullptr || date == nullptr) {
    return incomplete(missing + "Re-examine the query-string parameters.");
  }
  claims.authorization = {*credential, header_list(*signed_headers), *signature};
  claims.date = *date;
  if (const std::string* token = first(parameters, "X-Amz-Security-Token")) claims.token = *token;
  if (const std::string* expires = first(parameters, "X-Amz-Expires")) claims.expires = *expires;
  return claims;
}

std::optional<Failure> check_signed_headers(const http::Request& request, const Claims& claims) {
  const auto& names = claims.authorization.signed_headers;
  if (names.size() > kMostSignedHeaders) {
    return incomplete(fmt::format("At most {} headers may be signed.", kMostSignedHeaders));
  }
  const auto is_signed = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  std::string missing;
  if (!is_signed("host") && !is_signed(":authority")) {
    missing += "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization. ";
  }
  for (const auto& [name, value] : request.headers) {
    const std::string folded = to_lower(name);
    // A token may be added after signing: the older clients of STS do.
    if (!folded.starts_with("x-amz-") || folded == "x-amz-security-token") continue;
    if (!is_signed(folded)) missing += fmt::format("'{}' must be a 'SignedHeader' in the AWS Authorization. ", name);
  }
  if (missing.empty()) return std::nullopt;
  missing.pop_back();
  return mismatch(missing);
}

std::string skew_text(std::chrono::seconds window) {
  if (window.count() % 60 == 0) return fmt::format("{} min.", window.count() / 60);
  return fmt::format("{} sec.", window.count());
}

std::optional<Failure> check_time(const Claims& claims, const Expectation& expectation, WallTime now) {
  const auto date = parse_basic(claims.date);
  if (!date) {
    return incomplete(
        fmt::format("Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
                    claims.date));
  }
  std::chrono::seconds window = expectation.skew;
  if (claims.expires) {
    // A week is the longest that AWS accepts.
    constexpr int kWeek = 604'800;
    int seconds = -1;
    const char* end = claims.expires->data() + claims.expires->size();
    const auto [stop, error] = std::from_chars(claims.expires->data(), end, seconds);
    if (error != std::errc{} || stop != end || seconds < 0 || seconds > kWeek) {
      return incomplete("X-Amz-Expires must be a number of seconds, at most 604800.");
    }
    window = std::chrono::seconds{seconds};
  }
  if (*date < now - window) {
    return mismatch(fmt::format("Signature expired: {} is now earlier than {} ({} - {})", claims.date,
                                format_basic(now - window), format_basic(now), skew_text(window)));
  }
  if (*date > now + expectation.skew) {
    return mismatch(fmt::format("Signature not yet current: {} is still later than {} ({} + {})", claims.date,
                                format_basic(now + expectation.skew), format_basic(now), skew_text(expectation.skew)));
  }
  return std::nullopt;
}

std::optional<Failure> check_scope(const std::vector<std::string_view>& scope, const Claims& claims,
                                   const Expectation& expectation) {
  const auto among = [](const std::vector<std::string>& list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  std::string wrong;
  if (!among(expectation.regions, scope[2])) {
    wrong += fmt::format("Credential should be scoped to a valid region, not '{}'. ", scope[2]);
  }
  if (!among(expectation.services, scope[3])) {
    wrong += fmt::format("Credential should be scoped to correct service: '{}'. ",
                         expectation.services.empty() ? "" : expectation.services.front());
  }
  if (scope[4] != kTerminator) {
    wrong += fmt::format("Credential should be scoped with a valid terminator: '{}', not '{}'. ", kTerminator, scope[4]);
  }
  if (scope[1] != claims.date.substr(0, 8)) {
    wrong += fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from "
        "'{}'. ",
        scope[1], claims.date.substr(0, 8), claims.date);
  }
  if (wrong.empty()) return std::nullopt;
  wrong.pop_back();
  return mismatch(wrong);
}

}  // namespace

WireError json_error(FailureKind kind) {
  switch (kind) {
    case FailureKind::kBadRequest: return {"", 400};
    case FailureKind::kMalformedQuery: return {"MalformedQueryStringException", 400};
    case FailureKind::kMissingToken: return {"MissingAuthenticationTokenException", 400};
    case FailureKind::kIncomplete: return {"IncompleteSignatureException", 400};
    case FailureKind::kMismatch: return {"InvalidSignatureException", 400};
    case FailureKind::kInvalidToken: return {"UnrecognizedClientException", 400};
    case FailureKind::kExpiredToken: return {"ExpiredTokenException", 400};
  }
  return {"", 400};
}

WireError query_error(FailureKind kind) {
  switch (kind) {
    case FailureKind::kBadRequest: return {"", 400};
    case FailureKind::kMalformedQuery: return {"MalformedQueryString", 404};
    case FailureKind::kMissingToken: return {"MissingAuthenticationToken", 403};
    case FailureKind::kIncomplete: return {"IncompleteSignature", 400};
    case FailureKind::kMismatch: return {"SignatureDoesNotMatch", 403};
    case FailureKind::kInvalidToken: return {"InvalidClientTokenId", 403};
    case FailureKind::kExpiredToken: return {"ExpiredToken", 403};
  }
  return {"", 400};
}

std::variant<Authorization, Failure> parse_authorization(std::string_view header) {
  header = trim(header);
  const std::size_t space = header.find(' ');
  const std::string_view algorithm = header.substr(0, space);
  if (algorithm != kAlgorithm) return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", algorithm));
  Authorization out;
  if (space == std::string_view::npos) return out;
  for (const std::string_view piece : split(header.substr(space + 1), ',')) {
    const std::string_view pair = trim(piece);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return incomplete(fmt::format("Invalid key=value pair (missing equal-sign) in Authorization header (hashed with "
                                    "SHA-256 and encoded with Base64): '{}'.",
                                    hashed(header)));
    }
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (name == "Credential") out.credential = value;
    if (name == "SignedHeaders") out.signed_headers = header_list(value);
    if (name == "Signature") out.signature = value;
  }
  return out;
}

std::string scoped_service(const http::Request& request) {
  std::string credential;
  if (const std::string* header = request.headers.find("authorization")) {
    auto parsed = parse_authorization(*header);
    if (auto* authorization = std::get_if<Authorization>(&parsed)) credential = authorization->credential;
  } else if (const auto parameters = parse_query(request.query())) {
    if (const std::string* value = first(*parameters, "X-Amz-Credential")) credential = *value;
  }
  const auto scope = split(credential, '/');
  return scope.size() == 5 ? std::string(scope[3]) : std::string();
}

std::variant<Presented, Failure> examine(const http::Request& request, const Expectation& expectation, WallTime now) {
  const auto path = canonical_path(request.path());
  if (!path || !uri_decode(request.path())) return Failure{FailureKind::kBadRequest, ""};
  const auto parameters = parse_query(request.query());
  if (!parameters) {
    return Failure{FailureKind::kMalformedQuery, "The query string contains a syntax error."};
  }

  const std::string* header = request.headers.find("authorization");
  const std::string* algorithm = first(*parameters, "X-Amz-Algorithm");
  if (header != nullptr && algorithm != nullptr) return mismatch("");
  if (header == nullptr && algorithm == nullptr) {
    return Failure{FailureKind::kMissingToken, "Request is missing Authentication Token"};
  }
  auto read = header != nullptr ? read_header(request, *header) : read_query(*parameters, *algorithm);
  if (auto* failure = std::get_if<Failure>(&read)) return std::move(*failure);
  Claims& claims = std::get<Claims>(read);

  if (auto failure = check_signed_headers(request, claims)) return std::move(*failure);
  if (auto failure = check_time(claims, expectation, now)) return std::move(*failure);
  const auto scope = split(claims.authorization.credential, '/');
  if (scope.size() != 5) {
    return incomplete(
        fmt::format("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                    claims.authorization.credential));
  }
  if (auto failure = check_scope(scope, claims, expectation)) return std::move(*failure);

  const std::string payload_hash = encode_hex(crypto::sha256(as_bytes(request.body)));
  const std::string* declared_hash = request.headers.find("x-amz-content-sha256");
  std::vector<std::string> names = std::move(claims.authorization.signed_headers);
  std::sort(names.begin(), names.end());
  const std::string canonical = canonical_request(
      request.method, *path,
      canonical_query(*parameters, claims.carrier == Carrier::kQuery ? "X-Amz-Signature" : std::string_view{}),
      request.headers, names, payload_hash);

  Presented out;
  out.carrier = claims.carrier;
  out.access_key_id = scope[0];
  out.date = scope[1];
  out.region = scope[2];
  out.service = scope[3];
  if (claims.token && !claims.token->empty()) out.session_token = std::move(claims.token);
  // A declared hash that is not the body's cannot be right: an empty signature equals none.
  const bool hash_agrees = declared_hash == nullptr || *declared_hash == payload_hash;
  if (hash_agrees) out.signature = std::move(claims.authorization.signature);
  out.string_to_sign =
      string_to_sign(claims.date, fmt::format("{}/{}/{}/{}", scope[1], scope[2], scope[3], scope[4]), canonical);
  return out;
}

std::optional<Failure> find_failure(Found found) {
  switch (found) {
    case Found::kCredential: return std::nullopt;
    case Found::kUndecodableToken:
      return Failure{FailureKind::kInvalidToken, "The security token included in the request is invalid"};
    case Found::kExpiredToken:
      return Failure{FailureKind::kExpiredToken, "The security token included in the request is expired"};
    case Found::kUnknownKey: break;
  }
  return Failure{FailureKind::kInvalidToken, "The security token included in the request is invalid."};
}

std::shared_ptr<const Secret> SigningKeys::get(const Presented& presented, const Secret& secret_access_key) {
  constexpr std::size_t kMost = 1024;
  const std::string name = fmt::format("{}/{}/{}/{}", presented.access_key_id, presented.date, presented.region, presented.service);
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  if (found != known_.end() && equal_constant_time(found->second.secret_access_key.expose(), secret_access_key.expose())) return found->second.key;
  auto key = std::make_shared<const Secret>(signing_key(secret_access_key, presented.date, presented.region, presented.service));
  std::erase_if(known_, [&](const auto& entry) { return entry.second.date < presented.date; });
  if (known_.size() >= kMost) known_.clear();
  known_.insert_or_assign(name, Known{presented.date, Secret::copy_of(secret_access_key.expose()), key});
  return key;
}

std::optional<Failure> check_signature(const Presented& presented, const Secret& secret_access_key, SigningKeys* known) {
  const auto key = known != nullptr ? known->get(presented, secret_access_key)
                                    : std::make_shared<const Secret>(signing_key(secret_access_key, presented.date, presented.region, presented.service));
  const std::string wanted = signature(*key, presented.string_to_sign);
  if (equal_constant_time(as_bytes(wanted), as_bytes(presented.signature))) return std::nullopt;
  return mismatch(std::string(kMismatchText));
}

}  // namespace casemate::sigv4
