// SPDX-License-Identifier: Apache-2.0
// Where the proxy may connect to: AWS's YAML allowlist, its built-in default, and the decision.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/address.h"

namespace casemate::proxy {

enum class Wildcards { kRefused, kAllowed };

// Route: connections to the vsock port go to the remote.
struct Route {
  std::uint32_t port = 0;
  HostPort remote;
  std::size_t max_connections = 0;  // at a time; 0: as the proxy has it for every route
  friend auto operator<=>(const Route&, const Route&) = default;
};

// parse_vsock_port takes a decimal number of 32 bits.
Result<std::uint32_t> parse_vsock_port(std::string_view text);
// parse_route takes PORT=HOST:PORT.
Result<Route> parse_route(std::string_view text);

class Allowlist {
 public:
  struct Entry {
    std::string host;  // canonical; `*.suffix` stands for one label before the suffix
    std::uint16_t port = 0;
  };

  Allowlist() = default;
  explicit Allowlist(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  // names is true when an entry has this very host (or, for a literal, address) and port.
  bool names(const HostPort& remote) const;
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// Config is one file: `allowlist` of {address, port}, and `routes` of {port, address, remote_port, max_connections}, which is ours
// (the last may be absent).
struct Config {
  Allowlist allowlist;
  std::vector<Route> routes;
};

// parse_config reads the YAML text. Other keys are ignored, as AWS does. Errors: kMalformed, in AWS's words "No
// allowlist field" when that is missing, and kUnsupported for a wildcard without opt-in.
Result<Config> parse_config(std::string_view yaml, Wildcards wildcards);

// default_allowlist is AWS's: kms and kms-fips of every region it lists, port 443.
Allowlist default_allowlist();

}  // namespace casemate::proxy
