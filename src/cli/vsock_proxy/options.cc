// SPDX-License-Identifier: Apache-2.0
#include "cli/vsock_proxy/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

namespace casemate::cli::vsock_proxy {
namespace {

constexpr const char* kDefaultConfig = "/etc/nitro_enclaves/vsock-proxy.yaml";

// Raw is what CLI11 fills in; checking comes after.
struct Raw {
  bool ipv4 = false;
  bool ipv6 = false;
  unsigned workers = 4;
  std::string config = kDefaultConfig;
  std::string local_port;
  std::string remote_host;
  std::string remote_port;
  std::vector<std::string> routes;
  std::vector<std::string> overrides;
  bool wildcards = false;
  double connect_timeout = 10;
  double idle_timeout = 3600;
  double dns_keep = 300;
  std::size_t connections = proxy::ProxyOptions{}.connections_per_route;
  std::string metrics;
  std::string log_level;
  std::string transport = "auto";
};

void add_options(CLI::App& app, Raw& raw) {
  app.set_version_flag("-V,--version", "Vsock Proxy " CASEMATE_VERSION " (casemate)");
  auto* const ipv4 = app.add_flag("-4,--ipv4", raw.ipv4, "Connect over IPv4 only");
  app.add_flag("-6,--ipv6", raw.ipv6, "Connect over IPv6 only")->excludes(ipv4);
  app.add_option("-w,--num_workers", raw.workers, "Threads for name look-ups; connections are not limited by it")
      ->capture_default_str();
  app.add_option("--config", raw.config, "YAML file with the allowlist")->capture_default_str();
  app.add_option("local_port", raw.local_port, "Vsock port to listen on (CID 3)");
  app.add_option("remote_addr", raw.remote_host, "Host name or address to connect to");
  app.add_option("remote_port", raw.remote_port, "TCP port to connect to");
  app.add_option("--route", raw.routes, "Further route PORT=HOST:PORT (repeatable)")->allow_extra_args(false);
  app.add_option("--resolve", raw.overrides, "Where a name is: HOST:PORT:ADDRESS[:PORT] (repeatable)")
      ->allow_extra_args(false);
  app.add_flag("--allow-wildcards", raw.wildcards, "Take *.domain entries in the allowlist");
  app.add_option("--connect-timeout", raw.connect_timeout, "Seconds to connect, over all addresses")
      ->capture_default_str();
  app.add_option("--idle-timeout", raw.idle_timeout, "Seconds of silence before a connection is closed; 0: never")
      ->capture_default_str();
  app.add_option("--dns-refresh", raw.dns_keep, "Seconds that a look-up is used at most; the record's TTL where that is shorter")
      ->capture_default_str();
  app.add_option("--max-connections", raw.connections, "Connections a route at a time; others wait")
      ->capture_default_str();
  app.add_option("--metrics", raw.metrics, "Serve Prometheus metrics over HTTP on ADDRESS:PORT");
  app.add_option("--log-level", raw.log_level, "debug, info, warn or error (default: RUST_LOG, else warn)");
  app.add_option("--transport", raw.transport, "auto, local (casemate's platform) or kernel (AF_VSOCK)")
      ->capture_default_str();
}

Result<LogLevel> parse_level(std::string_view text) {
  if (text == "debug" || text == "trace") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warn") return LogLevel::kWarn;
  if (text == "error" || text == "off") return LogLevel::kError;
  return malformed("\"{}\", want debug, info, warn or error", text);
}

Result<std::chrono::milliseconds> seconds(double value, double least) {
  if (!(value >= least) || value > 1e7) return malformed("{}, want {} to 10000000 seconds", value, least);
  return std::chrono::milliseconds(static_cast<std::int64_t>(value * 1000));
}

Result<TransportChoice> parse_transport(const std::string& text) {
  if (text == "auto") return TransportChoice::kAuto;
  if (text == "local") return TransportChoice::kFabric;
  if (text == "kernel") return TransportChoice::kKernel;
  return malformed("\"{}\", want auto, local or kernel", text);
}

Result<void> read_routes(const Raw& raw, Options& options) {
  if (!raw.local_port.empty()) {
    if (raw.remote_port.empty()) return malformed("want <local_port> <remote_addr> <remote_port>");
    proxy::Route route;
    route.port = TRY(proxy::parse_vsock_port(raw.local_port).in("local_port"));
    route.remote.host = TRY(proxy::canonical_host(raw.remote_host).in("remote_addr"));
    route.remote.port = TRY(proxy::parse_port(raw.remote_port).in("remote_port"));
    options.routes.push_back(std::move(route));
  }
  for (const auto& text : raw.routes) options.routes.push_back(TRY(proxy::parse_route(text).in("--route " + text)));
  for (std::size_t i = 0; i < options.routes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (options.routes[i].port == options.routes[j].port)
        return malformed("port {} has two routes", options.routes[i].port);
    }
  }
  return {};
}

Result<Options> check(const Raw& raw, bool config_named, const Environment& environment) {
  Options options;
  TRY(read_routes(raw, options));
  options.config_path = raw.config;
  options.config_named = config_named;
  options.wildcards = raw.wildcards ? proxy::Wildcards::kAllowed : proxy::Wildcards::kRefused;
  if (raw.workers == 0) return malformed("Number of workers must not be 0");
  options.workers = std::min(raw.workers, 64U);
  options.overrides = TRY(proxy::parse_overrides(environment.resolve).in("VSOCK_PROXY_RESOLVE"));
  // What the command line says comes first and so wins.
  std::vector<proxy::Override> given;
  for (const auto& text : raw.overrides) given.push_back(TRY(proxy::parse_override(text).in("--resolve " + text)));
  options.overrides.insert(options.overrides.begin(), given.begin(), given.end());
  options.proxy.family = raw.ipv4 ? proxy::Family::kIpv4 : raw.ipv6 ? proxy::Family::kIpv6 : proxy::Family::kAny;
  options.proxy.dial.timeout = TRY(seconds(raw.connect_timeout, 0.001).in("--connect-timeout"));
  options.proxy.relay.idle_timeout = TRY(seconds(raw.idle_timeout, 0).in("--idle-timeout"));
  options.dns_keep = TRY(seconds(raw.dns_keep, 0).in("--dns-refresh"));
  if (raw.connections == 0) return malformed("--max-connections: 0, want at least 1");
  options.proxy.connections_per_route = raw.connections;
  if (!raw.metrics.empty()) {
    const auto metrics = TRY(proxy::parse_host_port(raw.metrics).in("--metrics"));
    options.metrics_address = metrics.host;
    options.metrics_port = metrics.port;
  }
  if (!raw.log_level.empty()) {
    options.log_level = TRY(parse_level(raw.log_level).in("--log-level"));
  } else if (const auto level = parse_level(environment.rust_log); level.ok()) {
    options.log_level = *level;
  }
  options.proxy.log_level = options.log_level;
  options.transport = TRY(parse_transport(raw.transport).in("--transport"));
  return options;
}

}  // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv, const Environment& environment) {
  CLI::App app{"Relay vsock connections of enclaves to allowed TCP services", "vsock-proxy"};
  Raw raw;
  add_options(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Exit{0, app.help(), ""};
  } catch (const CLI::CallForVersion& version) {
    return Exit{0, std::string(version.what()) + "\n", ""};
  } catch (const CLI::ParseError& failure) {
    std::string text = failure.what();
    return Exit{2, "", fmt::format("vsock-proxy: {} (--help lists the flags)\n", text.substr(0, text.find('\n')))};
  }
  auto options = check(raw, app.count("--config") > 0, environment);
  if (!options.ok()) return Exit{2, "", fmt::format("vsock-proxy: {}\n", options.error().message())};
  return options.take();
}

}  // namespace casemate::cli::vsock_proxy
