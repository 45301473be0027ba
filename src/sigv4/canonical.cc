// SPDX-License-Identifier: Apache-2.0
#include "sigv4/canonical.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/text.h"
#include "crypto/digest.h"

namespace casemate::sigv4 {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// append_trimmed removes outer white space and makes each inner run one space.
void append_trimmed(std::string& out, std::string_view value) {
  bool pending = false;
  bool any = false;
  for (const char c : value) {
    if (is_space(c)) {
      pending = any;
      continue;
    }
    if (pending) out += ' ';
    pending = false;
    any = true;
    out += c;
  }
}

std::string plus_to_space(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '+', ' ');
  return out;
}

}  // namespace

std::string uri_encode(std::string_view text, Slash slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || (c == '/' && slash == Slash::kKeep)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<std::string> uri_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<Parameters> parse_query(std::string_view query) {
  Parameters out;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view piece = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    auto name = uri_decode(plus_to_space(piece.substr(0, equals)));
    auto value =
        uri_decode(equals == std::string_view::npos ? std::string() : plus_to_space(piece.substr(equals + 1)));
    if (!name || !value) return std::nullopt;
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

std::string canonical_query(const Parameters& parameters, std::string_view without) {
  Parameters encoded;
  encoded.reserve(parameters.size());
  for (const auto& [name, value] : parameters) {
    if (!without.empty() && name == without) continue;
    encoded.emplace_back(uri_encode(name), uri_encode(value));
  }
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::optional<std::string> canonical_path(std::string_view path) {
  if (path.empty()) return "/";
  if (path.front() != '/') return std::nullopt;
  std::vector<std::string_view> segments;
  bool ends_open = false;  // the path ends in a slash, `.` or `..`
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = path.find('/');
    const std::string_view segment = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
    ends_open = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      if (segments.empty()) return std::nullopt;
      segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
  }
  std::string out;
  for (const std::string_view segment : segments) out.append("/").append(uri_encode(segment));
  if (out.empty() || ends_open) out += '/';
  return out;
}

std::string canonical_request(std::string_view method, std::string_view path, std::string_view query,
                              const http::Headers& headers, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash) {
  std::string out;
  out.reserve(1024);
  out.append(method).append("\n").append(path).append("\n").append(query).append("\n");
  for (const std::string& name : signed_headers) {
    out.append(name).append(":");
    bool first = true;
    for (const auto& [field, value] : headers) {
      if (!equal_ignoring_case(field, name)) continue;
      if (!first) out += ',';
      first = false;
      append_trimmed(out, value);
    }
    out += '\n';
  }
  out += '\n';
  for (std::size_t i = 0; i < signed_headers.size(); ++i) {
    if (i > 0) out += ';';
    out.append(signed_headers[i]);
  }
  out.append("\n").append(payload_hash);
  return out;
}

std::string string_to_sign(std::string_view time, std::string_view scope, std::string_view canonical_request) {
  std::string out(kAlgorithm);
  out.append("\n").append(time).append("\n").append(scope).append("\n");
  out.append(encode_hex(crypto::sha256(as_bytes(canonical_request))));
  return out;
}

Secret signing_key(const Secret& secret_access_key, std::string_view date, std::string_view region,
                   std::string_view service) {
  const auto step = [](const Secret& key, std::string_view text) {
    return Secret(crypto::hmac(crypto::Hash::kSha256, key.expose(), as_bytes(text)));
  };
  Secret start = Secret::of_size(4 + secret_access_key.size());
  const auto out = start.expose_mutable();
  std::copy_n("AWS4", 4, out.begin());
  std::copy(secret_access_key.expose().begin(), secret_access_key.expose().end(), out.begin() + 4);
  return step(step(step(step(start, date), region), service), kTerminator);
}

std::string signature(const Secret& key, std::string_view string_to_sign) {
  return encode_hex(crypto::hmac(crypto::Hash::kSha256, key.expose(), as_bytes(string_to_sign)));
}

}  // namespace casemate::sigv4
