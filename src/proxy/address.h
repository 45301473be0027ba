// SPDX-License-Identifier: Apache-2.0
// IP addresses and host names as the proxy takes them: no numeric spelling but the canonical ones, no name that needs
// IDNA, so that what the allowlist compares is what is connected to.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace casemate::proxy {

enum class Family { kAny, kIpv4, kIpv6 };

// IpAddress holds an IPv4 address as 4 bytes or an IPv6 address as 16; an IPv4-mapped one is kept as IPv4.
class IpAddress {
 public:
  static IpAddress from(const sockaddr& address);
  // parse takes dotted quads of four decimal numbers and RFC 4291 text, nothing else.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_ipv4() const { return size_ == 4; }
  bool matches(Family family) const { return family == Family::kAny || (family == Family::kIpv4) == is_ipv4(); }
  bool is_loopback() const;
  // is_unroutable: unspecified, link-local (metadata services live there), multicast, broadcast.
  bool is_unroutable() const;
  std::string text() const;
  // to_socket_address fills `out` and returns its size.
  socklen_t to_socket_address(std::uint16_t port, sockaddr_storage& out) const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::size_t size_ = 0;
};

// HostPort is what a route leads to: a canonical host (lower case, no trailing dot) or address literal, and a port.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const HostPort&, const HostPort&) = default;
  std::string text() const;
};

// canonical_host checks and normalizes an address literal or a DNS name of letters, digits, hyphens and underscores.
// Errors: kMalformed; names with other letters must be given in their xn-- form, and addresses in canonical form.
Result<std::string> canonical_host(std::string_view text);

// parse_port takes 1 to 65535 in decimal.
Result<std::uint16_t> parse_port(std::string_view text);

// parse_host_port takes HOST:PORT or [IPV6]:PORT.
Result<HostPort> parse_host_port(std::string_view text);

// Override tells where a name is on a local platform.
struct Override {
  HostPort name;
  IpAddress address;
  std::uint16_t port = 0;
};

// parse_override takes HOST:PORT:ADDRESS[:PORT], an IPv6 address in brackets. parse_overrides takes them
// comma-separated.
Result<Override> parse_override(std::string_view text);
Result<std::vector<Override>> parse_overrides(std::string_view text);

}  // namespace casemate::proxy
