// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, the parts that signer and verifier share: canonical request, string to sign, signing key.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "http/message.h"

namespace casemate::sigv4 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kTerminator = "aws4_request";

// uri_encode percent-encodes every byte but A-Z a-z 0-9 - _ . ~ with upper-case digits; `/` is kept on request.
enum class Slash { kEncode, kKeep };
std::string uri_encode(std::string_view text, Slash slash = Slash::kEncode);

// uri_decode turns %XX into bytes (`+` stays); empty when an escape is cut short or not hexadecimal.
std::optional<std::string> uri_decode(std::string_view text);

// Parameters are decoded query parameters, in order.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// parse_query splits `a=b&c`; empty when an escape is broken. A name without `=` has an empty value.
std::optional<Parameters> parse_query(std::string_view query);

// canonical_query encodes and sorts the parameters; those named `without` are left out.
std::string canonical_query(const Parameters& parameters, std::string_view without = {});

// canonical_path removes `.`, `..` and repeated slashes and encodes each segment once more (every service but S3).
// Empty when the path is not absolute or climbs above its root.
std::optional<std::string> canonical_path(std::string_view path);

// canonical_request joins method, path, query, the headers named by `signed_headers` (lower case, sorted by the caller)
// and the payload hash. A header that occurs several times has its values joined by commas in order.
std::string canonical_request(std::string_view method, std::string_view path, std::string_view query,
                              const http::Headers& headers, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash);

// string_to_sign takes the time in basic form and the scope `date/region/service/aws4_request`.
std::string string_to_sign(std::string_view time, std::string_view scope, std::string_view canonical_request);

// signing_key derives the key of one day, region and service from the secret access key.
Secret signing_key(const Secret& secret_access_key, std::string_view date, std::string_view region,
                   std::string_view service);

// signature is 64 lower-case hexadecimal digits.
std::string signature(const Secret& key, std::string_view string_to_sign);

}  // namespace casemate::sigv4
