// SPDX-License-Identifier: Apache-2.0
#include "proxy/address.h"
#include "base/text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace casemate::proxy {
namespace {

constexpr std::size_t kNameBytes = 253;
constexpr std::size_t kLabelBytes = 63;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Result<void> check_label(std::string_view label) {
  if (label.empty()) return malformed("empty label");
  if (label.size() > kLabelBytes) return malformed("label of {} bytes, want at most {}", label.size(), kLabelBytes);
  if (label.front() == '-' || label.back() == '-') return malformed("label begins or ends with a hyphen");
  for (const char c : label) {
    if (static_cast<unsigned char>(c) >= 0x80) return malformed("letter outside ASCII, want the xn-- form");
    if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
      return malformed("character that no host name has");
  }
  return {};
}

// inet_aton and with it getaddrinfo take 127.1, 0x7f000001 and 2130706433 for addresses.
bool looks_numeric(std::string_view last_label) {
  return is_digit(last_label.front()) &&
         (std::all_of(last_label.begin(), last_label.end(), is_digit) || last_label.starts_with("0x"));
}

Result<void> check_name(std::string_view name) {
  if (name.size() > kNameBytes) return malformed("{} bytes, want at most {}", name.size(), kNameBytes);
  while (true) {
    const auto dot = name.find('.');
    const auto label = name.substr(0, dot);
    TRY(check_label(label));
    if (dot == std::string_view::npos) {
      if (looks_numeric(label)) return malformed("number in place of a name, want a canonical address");
      return {};
    }
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

IpAddress IpAddress::from(const sockaddr& address) {
  IpAddress out;
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::memcpy(out.bytes_.data(), &v4.sin_addr, 4);
    out.size_ = 4;
  } else {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    out.size_ = mapped ? 4 : 16;
    std::memcpy(out.bytes_.data(), v6.sin6_addr.s6_addr + (mapped ? 12 : 0), out.size_);
  }
  return out;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (::inet_pton(AF_INET, copy.c_str(), &v4.sin_addr) == 1) return from(reinterpret_cast<const sockaddr&>(v4));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (::inet_pton(AF_INET6, copy.c_str(), &v6.sin6_addr) == 1) return from(reinterpret_cast<const sockaddr&>(v6));
  return std::nullopt;
}

bool IpAddress::is_loopback() const {
  if (is_ipv4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; }) && bytes_[15] == 1;
}

bool IpAddress::is_unroutable() const {
  if (is_ipv4()) return bytes_[0] == 0 || bytes_[0] >= 224 || (bytes_[0] == 169 && bytes_[1] == 254);
  const bool unspecified = std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
  const bool link_local = bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
  // fd00:ec2::254 is EC2's metadata service.
  constexpr std::array<std::uint8_t, 16> kMetadata{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  return unspecified || link_local || bytes_[0] == 0xff || bytes_ == kMetadata;
}

std::string IpAddress::text() const {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(is_ipv4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

socklen_t IpAddress::to_socket_address(std::uint16_t port, sockaddr_storage& out) const {
  out = {};
  if (is_ipv4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes_.data(), 4);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, bytes_.data(), 16);
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

std::string HostPort::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<std::string> canonical_host(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return address->text();
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return to_lower(c); });
  if (name.ends_with('.')) name.pop_back();
  if (auto checked = check_name(name); !checked.ok()) return std::move(checked).error().in("host name");
  return name;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size() || port == 0)
    return malformed("port: want a number from 1 to 65535");
  return port;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed("no port, want HOST:PORT");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed("IPv6 address without brackets, want [ADDRESS]:PORT");
  }
  return HostPort{TRY(canonical_host(host)), TRY(parse_port(text.substr(colon + 1)))};
}

Result<Override> parse_override(std::string_view text) {
  const auto host_end = text.find(':');
  const auto port_end = host_end == std::string_view::npos ? host_end : text.find(':', host_end + 1);
  if (port_end == std::string_view::npos) return malformed("want HOST:PORT:ADDRESS[:PORT]");
  Override out;
  out.name = {TRY(canonical_host(text.substr(0, host_end))),
              TRY(parse_port(text.substr(host_end + 1, port_end - host_end - 1)))};
  out.port = out.name.port;
  std::string_view target = text.substr(port_end + 1);
  std::string_view port;
  if (target.starts_with('[')) {
    const auto close = target.find(']');
    if (close == std::string_view::npos) return malformed("address without its closing bracket");
    port = target.substr(close + 1);
    target = target.substr(1, close - 1);
  } else if (const auto colon = target.find(':'); colon != std::string_view::npos) {
    port = target.substr(colon);
    target = target.substr(0, colon);
  }
  if (!port.empty()) {
    if (port.front() != ':') return malformed("want HOST:PORT:ADDRESS[:PORT]");
    out.port = TRY(parse_port(port.substr(1)));
  }
  const auto address = IpAddress::parse(target);
  if (!address) return malformed("address is neither IPv4 nor IPv6 in brackets");
  out.address = *address;
  return out;
}

Result<std::vector<Override>> parse_overrides(std::string_view text) {
  std::vector<Override> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (const auto part = text.substr(0, comma); !part.empty()) out.push_back(TRY(parse_override(part)));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

}  // namespace casemate::proxy
