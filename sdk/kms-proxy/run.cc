// SPDX-License-Identifier: Apache-2.0
#include "sdk/kms-proxy/run.h"

#include <fcntl.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/fd.h"
#include "casemate/parent.h"
#include "net/http_server.h"
#include "os/process.h"
#include "sdk/kms-proxy/service.h"

namespace casemate::kms_proxy {
namespace {

// KMS's largest request is a key policy of 128 KiB or an attestation document of 256 KiB, before base64 and JSON.
constexpr std::size_t kMostBodyBytes = 512 * 1024;

// The enclave's init leaves loopback down. Where it cannot be raised it may be up already: listening will tell.
void raise_loopback() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  if (!fd || ::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) != 0) return;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  [[maybe_unused]] const int raised = ::ioctl(fd.get(), SIOCSIFFLAGS, &request);
}

Result<std::shared_ptr<CredentialsProvider>> make_credentials(const Options& options) {
  switch (options.credentials) {
    case CredentialsFrom::kVsock: return vsock_credentials(options.credentials_port);
    case CredentialsFrom::kEnvironment: return parent::environment_credentials();
    case CredentialsFrom::kMetadata: break;
  }
  parent::MetadataOptions metadata;
  metadata.endpoint = "http://169.254.169.254";
  metadata.timeout = std::chrono::seconds{5};
  metadata.connect = kms::vsock_connector(options.credentials_port);
  return parent::instance_credentials(std::move(metadata));
}

Result<ServiceOptions> service_options(const Options& options) {
  ServiceOptions service;
  service.region = options.region;
  service.host = options.host;
  service.ca_file = options.ca_file;
  service.connect = kms::vsock_connector(options.proxy_port);
  service.credentials = TRY(make_credentials(options));
  service.recipient = TRY(kms::Recipient::create(TRY(nsm::Client::open())));
  // Found missing now, not at the first request.
  if (!service.region.empty()) TRY(kms::endpoint_host(service.region));
  if (service.ca_file.empty()) TRY(sdk::find_trust_store());
  return service;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& each : texts) out.push_back(each.data());
  out.push_back(nullptr);
  return out;
}

Result<pid_t> start(const Options& options, const std::string& url) {
  std::vector<std::string> inherited;
  for (char** each = ::environ; *each != nullptr; ++each) inherited.emplace_back(*each);
  auto environment = child_environment(std::move(inherited), url, options.region);
  auto command = options.command;
  posix_spawnattr_t attributes;
  if (const int failure = ::posix_spawnattr_init(&attributes); failure != 0) return errno_error("posix_spawnattr_init", failure);
  sigset_t none;
  sigset_t standard;
  sigemptyset(&none);
  sigemptyset(&standard);
  sigaddset(&standard, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &standard);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t child = -1;
  const int failure = ::posix_spawnp(&child, command.front().c_str(), nullptr, &attributes, pointers(command).data(), pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) return errno_error(command.front(), failure);
  return child;
}

}  // namespace

Result<int> run(const Options& options) {
  os::harden_process();
  raise_loopback();
  const SystemClock clock;
  const Log log(clock, LogLevel::kWarn, stderr_sink());
  const auto loop = TRY(net::Loop::create());
  pid_t child = -1;
  int status = 0;
  // Before any thread starts.
  TRY(loop->on_signals({SIGTERM, SIGINT, SIGCHLD}, [&](int signal) {
    if (signal != SIGCHLD) {
      if (child > 0) {
        ::kill(child, signal);
      } else {
        loop->stop();
      }
      return;
    }
    int state = 0;
    if (child <= 0 || ::waitpid(child, &state, WNOHANG) != child) return;
    child = -1;
    status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    loop->stop();
  }));

  Service service(TRY(service_options(options)));
  net::Pool pool("kms", options.workers, 1024);
  net::ServerOptions limits;
  limits.head_bytes = 32 * 1024;
  limits.body_bytes = kMostBodyBytes;
  limits.connections = 1024;
  limits.clock = &clock;
  const auto server = TRY(net::Server::create(*loop, limits, log));
  net::ListenerOptions where;
  where.address = options.address;
  where.port = options.port;
  const auto bound = TRY(server->listen(std::move(where), net::on_pool(pool, [&](const http::Request& request) { return service.handle(request); })));
  const std::string url = fmt::format("http://{}", sdk::host_header(bound.address, bound.port, 80));
  std::fprintf(stderr, "casemate-kms-proxy: serving on %s\n", url.c_str());
  if (!options.command.empty()) child = TRY(start(options, url));
  loop->run();
  return status;
}

}  // namespace casemate::kms_proxy
