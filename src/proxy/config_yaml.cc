// SPDX-License-Identifier: Apache-2.0
// The one source that includes yaml-cpp, whose exceptions end here.
#include <yaml-cpp/yaml.h>

#include <charconv>

#include "proxy/allowlist.h"

namespace casemate::proxy {
namespace {

constexpr std::size_t kConfigBytes = 1024 * 1024;
constexpr std::size_t kEntries = 10'000;

Result<std::string> scalar(const YAML::Node& entry, const char* name) {
  if (!entry.IsMap()) return malformed("not a mapping, want address and port");
  const YAML::Node node = entry[name];
  if (!node || !node.IsScalar()) return malformed("{}: missing or no scalar", name);
  return node.Scalar();
}

Result<std::string> entry_host(const std::string& text, Wildcards wildcards) {
  if (text.find('*') == std::string::npos) return canonical_host(text);
  if (wildcards == Wildcards::kRefused)
    return unsupported("wildcard \"{}\", allowed only with --allow-wildcards", text);
  if (!text.starts_with("*.")) return malformed("wildcard not in place of the first label");
  const std::string suffix = TRY(canonical_host(std::string_view(text).substr(2)));
  if (IpAddress::parse(suffix) || suffix.find('.') == std::string::npos)
    return malformed("wildcard over a whole top-level domain or an address");
  return "*." + suffix;
}

Result<Allowlist::Entry> read_entry(const YAML::Node& node, Wildcards wildcards) {
  Allowlist::Entry entry;
  entry.host = TRY(entry_host(TRY(scalar(node, "address")), wildcards).in("address"));
  entry.port = TRY(parse_port(TRY(scalar(node, "port"))));
  return entry;
}

Result<Route> read_route(const YAML::Node& node) {
  Route route;
  const std::string port = TRY(scalar(node, "port"));
  route = TRY(parse_route(port + "=placeholder:1"));
  route.remote.host = TRY(canonical_host(TRY(scalar(node, "address"))).in("address"));
  route.remote.port = TRY(parse_port(TRY(scalar(node, "remote_port"))).in("remote_port"));
  if (node["max_connections"]) {
    const std::string text = TRY(scalar(node, "max_connections"));
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), route.max_connections);
    if (failure != std::errc{} || end != text.data() + text.size() || route.max_connections == 0)
      return malformed("max_connections: want a number, at least 1");
  }
  return route;
}

Result<Config> read_config(const YAML::Node& root, Wildcards wildcards) {
  if (!root.IsMap() || !root["allowlist"]) return malformed("No allowlist field");
  const YAML::Node allowlist = root["allowlist"];
  if (!allowlist.IsSequence()) return malformed("allowlist: no sequence, want a list of address and port");
  if (allowlist.size() > kEntries) return over_limit("allowlist: {} entries, limit {}", allowlist.size(), kEntries);
  Config config;
  std::vector<Allowlist::Entry> entries;
  for (std::size_t i = 0; i < allowlist.size(); ++i)
    entries.push_back(TRY(read_entry(allowlist[i], wildcards).in(fmt::format("allowlist[{}]", i))));
  config.allowlist = Allowlist(std::move(entries));
  const YAML::Node routes = root["routes"];
  if (!routes) return config;
  if (!routes.IsSequence()) return malformed("routes: no sequence, want a list of port, address and remote_port");
  if (routes.size() > kEntries) return over_limit("routes: {} entries, limit {}", routes.size(), kEntries);
  for (std::size_t i = 0; i < routes.size(); ++i)
    config.routes.push_back(TRY(read_route(routes[i]).in(fmt::format("routes[{}]", i))));
  return config;
}

}  // namespace

Result<Config> parse_config(std::string_view yaml, Wildcards wildcards) {
  if (yaml.size() > kConfigBytes) return over_limit("{} bytes, limit {}", yaml.size(), kConfigBytes);
  try {
    return read_config(YAML::Load(std::string(yaml)), wildcards);
  } catch (const YAML::Exception& failure) {
    return malformed("line {}: {}", failure.mark.line + 1, failure.msg);
  }
}

}  // namespace casemate::proxy
