// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/http_client.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/secret.h"

namespace casemate::sdk {

Result<Url> parse_url(std::string_view text) {
  Url url;
  const std::string shown(text);
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
    url.port = 80;
  } else {
    return malformed("endpoint {}: want http:// or https://", shown);
  }
  const auto slash = text.find('/');
  std::string_view authority = text.substr(0, slash);
  url.path = slash == std::string_view::npos ? "" : std::string(text.substr(slash));
  while (url.path.ends_with('/')) url.path.pop_back();

  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return malformed("endpoint {}: bracket left open", shown);
    url.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    const auto colon = authority.find(':');
    url.host = authority.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
    if (port.front() != ':' || error != std::errc{} || end != port.data() + port.size() || url.port == 0) {
      return malformed("endpoint {}: port, want 1 to 65535", shown);
    }
  }
  const auto host_char = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_' || c == ':';
  };
  if (url.host.empty() || !std::all_of(url.host.begin(), url.host.end(), host_char)) return malformed("endpoint {}: host name", shown);
  const auto path_char = [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#'; };
  if (!std::all_of(url.path.begin(), url.path.end(), path_char)) return malformed("endpoint {}: path", shown);
  return url;
}

std::string host_header(std::string_view host, std::uint16_t port, std::uint16_t usual) {
  std::string out = host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
  if (port != usual) out += fmt::format(":{}", port);
  return out;
}

std::string Url::authority() const {
  return host_header(host, port, tls ? 443 : 80);
}

std::string encode_request(const http::Request& request) {
  std::string out = request.method + ' ' + request.target + " HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  out += "\r\n";
  out += request.body;
  return out;
}

Result<Exchange> exchange(Stream& stream, const http::Request& request, const Deadline& deadline, Answered& answered,
                          const ResponseLimits& limits) {
  answered = Answered::kNothing;
  std::string text = encode_request(request);
  auto written = stream.write_all(as_bytes(text), deadline);
  zeroize(text.data(), text.size());
  TRY(std::move(written));

  ResponseParser parser(limits);
  std::array<std::uint8_t, 8192> buffer{};
  bool excess = false;
  while (!parser.done()) {
    const std::size_t count = TRY(stream.read_some(buffer, deadline));
    if (count == 0) {
      TRY(parser.end());
      break;
    }
    answered = Answered::kSomething;
    const auto used = parser.feed(ByteView(buffer).first(count));
    zeroize(buffer.data(), count);
    // Bytes after the response belong to nobody: the connection is not used again.
    excess = TRY(Result(used)) < count;
  }
  return Exchange{parser.take(), parser.keep_alive() && !excess};
}

}  // namespace casemate::sdk
