// SPDX-License-Identifier: Apache-2.0
// One request and its response over a Stream, and TCP for those who need it.
#pragma once

#include <cstdint>

#include "http/message.h"
#include "sdk/src/http_response.h"
#include "sdk/src/stream.h"

namespace casemate::sdk {

// Url holds `scheme://host[:port][/path]`; nothing else is accepted.
struct Url {
  bool tls = true;
  std::string host;
  std::uint16_t port = 443;
  std::string path;  // without a trailing slash

  // authority is the Host header: the port is left out where it is the scheme's own.
  std::string authority() const;
};
// parse_url. Errors: kMalformed.
Result<Url> parse_url(std::string_view text);

// host_header writes an IPv6 address in brackets and a port that is not `usual`.
std::string host_header(std::string_view host, std::uint16_t port, std::uint16_t usual);

std::string encode_request(const http::Request& request);

struct Exchange {
  http::Response response;
  bool keep_alive = false;
};

// Answered tells a retry on a stale connection from an answer that broke off.
enum class Answered { kNothing, kSomething };

// exchange sends and reads one response. Errors: as Stream and ResponseParser; `answered` says whether a byte came back.
Result<Exchange> exchange(Stream& stream, const http::Request& request, const Deadline& deadline, Answered& answered,
                          const ResponseLimits& limits = {});

// connect_tcp tries each address of the host in turn; name resolution itself is the system's and not under the
// deadline. Errors: kNotFound (no such name), kUnavailable.
Result<UniqueFd> connect_tcp(const std::string& host, std::uint16_t port, const Deadline& deadline);

}  // namespace casemate::sdk
