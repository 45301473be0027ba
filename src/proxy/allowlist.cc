// SPDX-License-Identifier: Apache-2.0
#include "proxy/allowlist.h"

#include <algorithm>
#include <charconv>

namespace casemate::proxy {
namespace {

constexpr std::string_view kRegions[] = {
    "af-south-1",     "ap-east-1",      "ap-east-2",      "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1",     "ap-south-2",     "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1",   "ca-west-1",      "cn-north-1",
    "cn-northwest-1", "eu-central-1",   "eu-central-2",   "eu-north-1",     "eu-south-1",     "eu-south-2",
    "eu-west-1",      "eu-west-2",      "eu-west-3",      "il-central-1",   "me-central-1",   "me-south-1",
    "mx-central-1",   "sa-east-1",      "us-east-1",      "us-east-2",      "us-gov-east-1",  "us-gov-west-1",
    "us-west-1",      "us-west-2",
};

bool host_matches(const std::string& entry, const std::string& host) {
  if (!entry.starts_with("*.")) return entry == host;
  const auto dot = host.find('.');
  return dot != std::string::npos && dot > 0 && std::string_view(host).substr(dot) == std::string_view(entry).substr(1);
}

}  // namespace

Result<std::uint32_t> parse_vsock_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
    return malformed("vsock port: want a number up to 4294967295");
  return port;
}

Result<Route> parse_route(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return malformed("want PORT=HOST:PORT");
  Route route;
  route.port = TRY(parse_vsock_port(text.substr(0, equals)));
  route.remote = TRY(parse_host_port(text.substr(equals + 1)));
  return route;
}

bool Allowlist::names(const HostPort& remote) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.port == remote.port && host_matches(entry.host, remote.host);
  });
}

Allowlist default_allowlist() {
  std::vector<Allowlist::Entry> entries;
  for (const auto region : kRegions) {
    entries.push_back({fmt::format("kms.{}.amazonaws.com", region), 443});
    entries.push_back({fmt::format("kms-fips.{}.amazonaws.com", region), 443});
  }
  return Allowlist(std::move(entries));
}

}  // namespace casemate::proxy
