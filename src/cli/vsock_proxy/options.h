// SPDX-License-Identifier: Apache-2.0
// Command line of vsock-proxy as values.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "proxy/proxy.h"

namespace casemate::cli::vsock_proxy {

enum class TransportChoice { kAuto, kFabric, kKernel };

struct Options {
  std::vector<proxy::Route> routes;  // of the positional arguments and --route
  std::string config_path;
  bool config_named = false;
  proxy::Wildcards wildcards = proxy::Wildcards::kRefused;
  unsigned workers = 4;
  std::vector<proxy::Override> overrides;
  std::chrono::milliseconds dns_keep{300'000};
  std::string metrics_address;
  std::uint16_t metrics_port = 0;
  LogLevel log_level = LogLevel::kWarn;
  TransportChoice transport = TransportChoice::kAuto;
  proxy::ProxyOptions proxy;
};

// Exit is a command line that ends the program by itself: help, version, or a usage error (status 2).
struct Exit {
  int status = 0;
  std::string out;
  std::string err;
};

// Environment is what is read of the process environment.
struct Environment {
  std::string resolve;   // VSOCK_PROXY_RESOLVE
  std::string rust_log;  // RUST_LOG
};

std::variant<Options, Exit> parse_options(int argc, const char* const* argv, const Environment& environment);

}  // namespace casemate::cli::vsock_proxy
