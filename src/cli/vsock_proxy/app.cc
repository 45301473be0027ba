// SPDX-License-Identifier: Apache-2.0
#include "cli/vsock_proxy/app.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cli/vsock_proxy/options.h"
#include "net/http_server.h"
#include "os/file.h"
#include "os/paths.h"
#include "os/process.h"
#include "proxy/dns.h"

namespace casemate::cli::vsock_proxy {
namespace {

constexpr std::size_t kConfigBytes = 1024 * 1024;
constexpr std::chrono::hours kStaleAnswers{24};

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Each connection takes two descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<proxy::Config> load_config(const Options& options) {
  auto text = os::read_file(options.config_path, kConfigBytes);
  if (!text.ok()) {
    if (text.error().code() == ErrorCode::kNotFound && !options.config_named)
      return proxy::Config{proxy::default_allowlist(), {}};
    return std::move(text).error().in("Could not open the file");
  }
  return proxy::parse_config(*text, options.wildcards).in(options.config_path);
}

// wanted_routes is the command line's routes and then the file's; a port that both name is the command line's.
Result<std::vector<proxy::Route>> wanted_routes(const Options& options, const proxy::Config& config) {
  std::vector<proxy::Route> routes = options.routes;
  for (const auto& route : config.routes) {
    const bool taken =
        std::any_of(routes.begin(), routes.end(), [&](const proxy::Route& each) { return each.port == route.port; });
    if (!taken) routes.push_back(route);
  }
  if (routes.empty())
    return malformed("no route, want <local_port> <remote_addr> <remote_port>, --route, or routes in {}",
                     options.config_path);
  return routes;
}

struct Admitted {
  proxy::Route route;
  Result<proxy::Admission> admission;
};

std::vector<Admitted> admit_all(const std::vector<proxy::Route>& routes, const proxy::Allowlist& allowlist,
                                proxy::Family family, const proxy::Lookup& lookup) {
  std::vector<Admitted> out;
  for (const auto& route : routes) out.push_back({route, proxy::admit(route.remote, allowlist, family, lookup)});
  return out;
}

// RunFile is <run>/proxies/PID while the proxy serves a local platform.
class RunFile {
 public:
  RunFile() = default;
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;
  ~RunFile() {
    if (path_.empty()) return;
    if (const auto removed = os::remove(path_); !removed.ok())
      fmt::print(stderr, "vsock-proxy: {}\n", removed.error().message());
  }
  Result<void> write(const os::Path& folder) {
    TRY(os::make_private_directories(folder));
    const auto self = TRY(os::identify(::getpid()));
    path_ = folder / std::to_string(self.pid);
    return os::write_pid_file(path_, self);
  }

 private:
  os::Path path_;
};

class Program {
 public:
  Program(Options options, net::Loop& loop, const Log& log)
      : options_(std::move(options)),
        loop_(loop),
        log_(log),
        lookup_(proxy::behind_overrides(options_.overrides, proxy::system_lookup)) {}

  Result<void> serve() {
    TRY(find_transport());
    const auto config = TRY(load_config(options_));
    // May wait for DNS: signals still end the process here, where nothing is left to clean up.
    auto admitted = admit_all(TRY(wanted_routes(options_, config)), config.allowlist, options_.proxy.family, lookup_);
    TRY(loop_.on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) {
      if (signal == SIGHUP) return reload();
      log_.info("stopping", {{"signal", std::to_string(signal)}});
      loop_.stop();
    }));
    pool_.emplace("dns", options_.workers);
    resolver_.emplace(loop_, *pool_, lookup_, options_.overrides, options_.dns_keep, kStaleAnswers, proxy::dns_ttl);
    proxy_.emplace(loop_, *resolver_, options_.proxy, log_);
    for (auto& each : admitted) {
      proxy::Admission admission = TRY(std::move(each.admission));
      TRY(open_route(each.route, std::move(admission)));
    }
    TRY(serve_metrics());
    if (transport_ == proxy::Transport::kFabric) TRY(run_file_.emplace().write(proxies_folder_));
    loop_.run();
    return {};
  }

  // stop closes listeners and connections and removes the run file.
  void stop() {
    metrics_.reset();
    proxy_.reset();
    run_file_.reset();
  }

 private:
  Result<void> find_transport() {
    proxy::Surroundings surroundings;
    surroundings.run_dir_named = !from_environment("CASEMATE_RUN_DIR").empty();
    surroundings.nitro_device_exists = ::access("/dev/nitro_enclaves", F_OK) == 0;
    if (const auto paths = os::paths_from_environment(); paths.ok()) {
      surroundings.run_dir_exists = std::filesystem::is_directory(paths->run);
      fabric_folder_ = paths->fabric().string();
      proxies_folder_ = paths->proxies();
    }
    switch (options_.transport) {
      case TransportChoice::kAuto:
        transport_ = proxy::choose_transport(surroundings);
        break;
      case TransportChoice::kFabric:
        transport_ = proxy::Transport::kFabric;
        break;
      case TransportChoice::kKernel:
        transport_ = proxy::Transport::kKernel;
        break;
    }
    if (transport_ == proxy::Transport::kFabric && !surroundings.run_dir_exists)
      return unavailable("no local platform is up (its run folder does not exist)");
    return {};
  }

  Result<void> open_route(const proxy::Route& route, proxy::Admission admission) {
    std::unique_ptr<proxy::VsockListener> listener;
    if (!proxy_->has_route(route.port)) listener = TRY(proxy::open_listener(transport_, fabric_folder_, route.port));
    TRY(proxy_->add_route(route, std::move(admission), std::move(listener)));
    log_.info("serving", {{"port", std::to_string(route.port)}, {"remote", route.remote.text()}});
    return {};
  }

  Result<void> serve_metrics() {
    if (options_.metrics_port == 0) return {};
    net::ServerOptions limits;
    limits.connections = 32;
    limits.head_bytes = 8 * 1024;
    limits.body_bytes = 0;
    metrics_ = TRY(net::Server::create(loop_, limits, log_));
    net::ListenerOptions where;
    where.address = options_.metrics_address;
    where.port = options_.metrics_port;
    TRY(metrics_
            ->listen(std::move(where), net::Handler([this](const http::Request& request) {
                       http::Response response;
                       if (request.path() != "/metrics") {
                         response.status = 404;
                         return response;
                       }
                       response.headers.add("Content-Type", "text/plain; version=0.0.4");
                       response.body = proxy_->metrics_text();
                       return response;
                     }))
            .in("--metrics"));
    return {};
  }

  // Reads the file again; a file that cannot be used leaves everything as it was.
  void reload() {
    const auto config = load_config(options_);
    if (!config.ok()) return log_.error("reload_failed", {{"error", config.error().message()}});
    const auto routes = wanted_routes(options_, *config);
    if (!routes.ok()) return log_.error("reload_failed", {{"error", routes.error().message()}});
    resolver_->forget();
    const bool queued = pool_->submit([this, routes = *routes, allowlist = config->allowlist, lookup = lookup_] {
      auto admitted = admit_all(routes, allowlist, options_.proxy.family, lookup);
      loop_.post([this, admitted = std::move(admitted)] { apply(admitted); });
    });
    if (!queued) log_.error("reload_failed", {{"error", "too many look-ups under way"}});
  }

  void apply(const std::vector<Admitted>& admitted) {
    for (const auto& old : proxy_->routes()) {
      const bool kept = std::any_of(admitted.begin(), admitted.end(), [&](const Admitted& each) {
        return each.route.port == old.port && each.admission.ok();
      });
      if (!kept) proxy_->remove_route(old.port);
    }
    for (const auto& each : admitted) {
      const auto opened =
          each.admission.ok() ? open_route(each.route, *each.admission) : Result<void>(Error(each.admission.error()));
      if (!opened.ok())
        log_.error("route_refused", {{"port", std::to_string(each.route.port)}, {"error", opened.error().message()}});
    }
    log_.info("reloaded", {{"routes", std::to_string(proxy_->routes().size())}});
  }

  const Options options_;
  net::Loop& loop_;
  const Log log_;
  proxy::Transport transport_ = proxy::Transport::kKernel;
  std::string fabric_folder_;
  os::Path proxies_folder_;
  std::optional<RunFile> run_file_;
  const proxy::Lookup lookup_;
  std::optional<net::Pool> pool_;
  std::optional<proxy::Resolver> resolver_;
  std::optional<proxy::Proxy> proxy_;
  std::unique_ptr<net::Server> metrics_;
};

Result<void> serve(Options options) {
  const SystemClock clock;
  const Log log(clock, options.log_level, stderr_sink());
  const auto loop = TRY(net::Loop::create(proxy::Relay::kBatch));
  Program program(std::move(options), *loop, log);
  TRY(program.serve());
  program.stop();
  // A look-up may be stuck in the C library for many seconds and cannot be cancelled; nothing else is left to do.
  std::_Exit(0);
}

}  // namespace

int run_vsock_proxy(int argc, char** argv) {
  auto parsed = parse_options(argc, argv, {from_environment("VSOCK_PROXY_RESOLVE"), from_environment("RUST_LOG")});
  if (const auto* const exit = std::get_if<Exit>(&parsed)) {
    fmt::print(stdout, "{}", exit->out);
    fmt::print(stderr, "{}", exit->err);
    return exit->status;
  }
  os::harden_process();
  raise_descriptor_limit();
  const auto served = serve(std::get<Options>(std::move(parsed)));
  if (served.ok()) return 0;
  fmt::print(stderr, "vsock-proxy: {}\n", served.error().message());
  return 1;
}

}  // namespace casemate::cli::vsock_proxy
