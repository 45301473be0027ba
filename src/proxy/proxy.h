// SPDX-License-Identifier: Apache-2.0
// Proxy: accepts on vsock ports, looks up, connects and relays; every connection on one loop, none able to delay
// another.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "proxy/dialer.h"
#include "proxy/listener.h"
#include "proxy/relay.h"
#include "proxy/resolver.h"

namespace casemate::proxy {

struct ProxyOptions {
  Family family = Family::kAny;
  DialOptions dial;
  RelayOptions relay;
  // Connections of one route at a time; further ones wait in the listener's queue.
  std::size_t connections_per_route = 16'384;
  // The level that the log keeps: lines that nobody reads are not composed.
  LogLevel log_level = LogLevel::kWarn;
};

struct RouteStats {
  Route route;
  std::size_t open = 0;
  std::uint64_t accepted = 0;
  std::uint64_t lookup_failures = 0;
  std::uint64_t refused = 0;  // an address that is not permitted
  std::uint64_t connect_failures = 0;
  std::uint64_t idle_closed = 0;
  std::uint64_t bytes_to_remote = 0;
  std::uint64_t bytes_from_remote = 0;
};

class Proxy {
 public:
  // `resolver` outlives the proxy.
  Proxy(net::Loop& loop, Resolver& resolver, ProxyOptions options, Log log);
  ~Proxy();

  // add_route begins to accept. A route on the same port is replaced, its listener and connections kept.
  Result<void> add_route(const Route& route, Admission admission, std::unique_ptr<VsockListener> listener);
  // remove_route stops accepting; connections go on.
  void remove_route(std::uint32_t port);
  bool has_route(std::uint32_t port) const;
  std::vector<Route> routes() const;

  std::vector<RouteStats> stats() const;
  std::size_t open() const;
  // metrics_text is the statistics in Prometheus's text format.
  std::string metrics_text() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with look-ups under way
};

}  // namespace casemate::proxy
