// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.h"

#include <cerrno>
#include <unordered_map>
#include <utility>

namespace casemate::proxy {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

struct RouteState {
  RouteStats stats;
  Admission admission;
  std::unique_ptr<VsockListener> listener;
  net::FdWatch watch;  // destroyed before the listener
  net::Timer pause;
  bool accepting = false;
};

// Pending is a connection whose remote side is being looked up or connected to.
struct Pending {
  UniqueFd local;
  std::shared_ptr<RouteState> route;  // shared by a route's connections, which may outlive it
  std::unique_ptr<Dialer> dialer;
};

std::string peer_of(const RouteState& route, const UniqueFd& local) {
  return route.listener ? route.listener->peer(local.get()) : "unknown";
}

std::string_view reason_text(RelayEnd::Reason reason) {
  switch (reason) {
    case RelayEnd::Reason::kFinished:
      return "finished";
    case RelayEnd::Reason::kReset:
      return "reset";
    case RelayEnd::Reason::kIdle:
      return "idle";
    case RelayEnd::Reason::kStopped:
      return "stopped";
  }
  return "finished";
}

}  // namespace

struct Proxy::State : std::enable_shared_from_this<Proxy::State> {
  net::Loop& loop;
  Resolver& resolver;
  const ProxyOptions options;
  const Log log;
  Relay relay;
  std::map<std::uint32_t, std::shared_ptr<RouteState>> routes;  // shared with their connections
  std::unordered_map<std::uint64_t, Pending> pending;
  std::uint64_t next_id = 1;
  bool ended = false;

  State(net::Loop& on, Resolver& with, ProxyOptions how, Log to)
      : loop(on), resolver(with), options(how), log(std::move(to)), relay(on, how.relay) {}

  std::size_t limit_of(const RouteState& route) const {
    const std::size_t own = route.stats.route.max_connections;
    return own == 0 ? options.connections_per_route : own;
  }

  void resume_accepting(const std::shared_ptr<RouteState>& route) {
    if (route->accepting || !route->listener || ended) return;
    if (const auto set = route->watch.set(EPOLLIN); set.ok()) route->accepting = true;
  }

  void pause_accepting(RouteState& route) {
    route.accepting = false;
    if (const auto set = route.watch.set(0); !set.ok())
      log.error("listener_failed", {{"error", set.error().message()}});
  }

  void accept_one(const std::shared_ptr<RouteState>& route);
  void serve(const std::shared_ptr<RouteState>& route, UniqueFd local);
  void resolved(std::uint64_t id, Result<Target> target);
  void connected(std::uint64_t id, Result<UniqueFd> remote);
  void failed(std::uint64_t id, std::string_view event, std::uint64_t RouteStats::*counter, const Error& error);
  void release(const std::shared_ptr<RouteState>& route) {
    --route->stats.open;
    resume_accepting(route);
  }
};

// One connection an event: readiness is level-triggered, so the next round brings the next one, with what the established
// ones have to say in between.
void Proxy::State::accept_one(const std::shared_ptr<RouteState>& route) {
  if (!route->listener) return;
  if (route->stats.open >= limit_of(*route)) return pause_accepting(*route);
  UniqueFd local(::accept4(route->listener->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (local) return serve(route, std::move(local));
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
  log.warn("accept_failed", {{"port", std::to_string(route->stats.route.port)}, {"error", errno_error("accept").message()}});
  pause_accepting(*route);
  route->pause = loop.after(kAcceptPause, [this, weak = std::weak_ptr(route)] {
    if (const auto again = weak.lock()) resume_accepting(again);
  });
}

void Proxy::State::serve(const std::shared_ptr<RouteState>& route, UniqueFd local) {
  ++route->stats.accepted;
  ++route->stats.open;
  const std::uint64_t id = next_id++;
  pending.emplace(id, Pending{std::move(local), route, nullptr});
  resolver.resolve(route->stats.route.remote, options.family, [weak = weak_from_this(), id](Result<Target> target) {
    if (const auto self = weak.lock()) self->resolved(id, std::move(target));
  });
}

void Proxy::State::resolved(std::uint64_t id, Result<Target> target) {
  const auto it = pending.find(id);
  if (it == pending.end()) return;
  Pending& waiting = it->second;
  if (!target.ok()) return failed(id, "lookup_failed", &RouteStats::lookup_failures, target.error());
  auto addresses = permitted(waiting.route->stats.route.remote, *target, waiting.route->admission);
  if (!addresses.ok()) return failed(id, "refused", &RouteStats::refused, addresses.error());
  UniqueFd begun;
  if (addresses->front().is_loopback()) {
    if (auto started = begin_connect(addresses->front(), target->port); started.ok()) begun = started.take();
    if (begun && connected_at_once(begun)) return connected(id, std::move(begun));
  }
  waiting.dialer = std::make_unique<Dialer>(
      loop, addresses.take(), target->port, options.dial,
      [this, id](Result<UniqueFd> remote) { connected(id, std::move(remote)); }, std::move(begun));
}

void Proxy::State::connected(std::uint64_t id, Result<UniqueFd> remote) {
  if (!remote.ok()) return failed(id, "connect_failed", &RouteStats::connect_failures, remote.error());
  auto node = pending.extract(id);
  if (node.empty()) return;
  Pending& ready = node.mapped();
  const auto route = ready.route;
  std::string peer;
  if (options.log_level <= LogLevel::kInfo) {
    peer = peer_of(*route, ready.local);
    log.debug("connected", {{"port", std::to_string(route->stats.route.port)}, {"peer", peer}, {"remote", route->stats.route.remote.text()}});
  }
  const auto added = relay.add(std::move(ready.local), remote.take(), [this, route, peer](const RelayEnd& end) {
    route->stats.bytes_to_remote += end.from_local;
    route->stats.bytes_from_remote += end.from_remote;
    if (end.reason == RelayEnd::Reason::kIdle) ++route->stats.idle_closed;
    if (options.log_level <= LogLevel::kInfo) {
      log.info("closed", {{"port", std::to_string(route->stats.route.port)},
                          {"peer", peer},
                          {"remote", route->stats.route.remote.text()},
                          {"to_remote", std::to_string(end.from_local)},
                          {"from_remote", std::to_string(end.from_remote)},
                          {"end", std::string(reason_text(end.reason))}});
    }
    release(route);
  });
  if (!added.ok()) log.warn("relay_failed", {{"error", added.error().message()}});
  // The dialer goes with the node; its own callback is the last thing on its stack.
}

void Proxy::State::failed(std::uint64_t id, std::string_view event, std::uint64_t RouteStats::*counter,
                          const Error& error) {
  auto node = pending.extract(id);
  if (node.empty()) return;
  const auto route = node.mapped().route;
  ++(route->stats.*counter);
  log.warn(event, {{"port", std::to_string(route->stats.route.port)},
                   {"peer", peer_of(*route, node.mapped().local)},
                   {"remote", route->stats.route.remote.text()},
                   {"error", error.message()}});
  release(route);
}

Proxy::Proxy(net::Loop& loop, Resolver& resolver, ProxyOptions options, Log log)
    : state_(std::make_shared<State>(loop, resolver, options, std::move(log))) {}

Proxy::~Proxy() {
  state_->ended = true;
  state_->pending.clear();
  state_->relay.close_all();
  state_->routes.clear();
}

Result<void> Proxy::add_route(const Route& route, Admission admission, std::unique_ptr<VsockListener> listener) {
  if (const auto it = state_->routes.find(route.port); it != state_->routes.end()) {
    it->second->stats.route = route;
    it->second->admission = std::move(admission);
    state_->resume_accepting(it->second);
    return {};
  }
  auto fresh = std::make_shared<RouteState>();
  fresh->stats.route = route;
  fresh->admission = std::move(admission);
  fresh->listener = std::move(listener);
  State& state = *state_;
  fresh->watch =
      TRY(state.loop.watch(fresh->listener->fd(), EPOLLIN, [&state, weak = std::weak_ptr(fresh)](std::uint32_t) {
        if (const auto each = weak.lock()) state.accept_one(each);
      }));
  fresh->accepting = true;
  state.routes.emplace(route.port, std::move(fresh));
  return {};
}

void Proxy::remove_route(std::uint32_t port) {
  const auto it = state_->routes.find(port);
  if (it == state_->routes.end()) return;
  it->second->watch.cancel();
  it->second->pause.cancel();
  it->second->listener.reset();
  state_->routes.erase(it);
}

bool Proxy::has_route(std::uint32_t port) const {
  return state_->routes.contains(port);
}

std::vector<Route> Proxy::routes() const {
  std::vector<Route> out;
  for (const auto& [port, route] : state_->routes) out.push_back(route->stats.route);
  return out;
}

std::vector<RouteStats> Proxy::stats() const {
  std::vector<RouteStats> out;
  for (const auto& [port, route] : state_->routes) out.push_back(route->stats);
  return out;
}

std::size_t Proxy::open() const {
  return state_->relay.open() + state_->pending.size();
}

std::string Proxy::metrics_text() const {
  struct Metric {
    std::string_view name, type, help;
    std::function<std::uint64_t(const RouteStats&)> value;
  };
  const Metric metrics[] = {
      {"open_connections", "gauge", "Connections under way", [](const RouteStats& s) { return std::uint64_t{s.open}; }},
      {"accepted_total", "counter", "Connections accepted", [](const RouteStats& s) { return s.accepted; }},
      {"lookup_failures_total", "counter", "Connections closed because the name did not resolve",
       [](const RouteStats& s) { return s.lookup_failures; }},
      {"refused_total", "counter", "Connections closed because the address is not permitted",
       [](const RouteStats& s) { return s.refused; }},
      {"connect_failures_total", "counter", "Connections closed because no address answered",
       [](const RouteStats& s) { return s.connect_failures; }},
      {"idle_closed_total", "counter", "Connections closed for silence",
       [](const RouteStats& s) { return s.idle_closed; }},
      {"bytes_to_remote_total", "counter", "Bytes sent to the remote by closed connections",
       [](const RouteStats& s) { return s.bytes_to_remote; }},
      {"bytes_from_remote_total", "counter", "Bytes received from the remote by closed connections",
       [](const RouteStats& s) { return s.bytes_from_remote; }},
  };
  const auto routes = stats();
  std::string out;
  for (const Metric& metric : metrics) {
    out +=
        fmt::format("# HELP vsock_proxy_{0} {2}\n# TYPE vsock_proxy_{0} {1}\n", metric.name, metric.type, metric.help);
    for (const auto& each : routes)
      out += fmt::format("vsock_proxy_{}{{port=\"{}\",remote=\"{}\"}} {}\n", metric.name, each.route.port,
                         each.route.remote.text(), metric.value(each));
  }
  return out;
}

}  // namespace casemate::proxy
