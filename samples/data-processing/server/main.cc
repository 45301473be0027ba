// SPDX-License-Identifier: Apache-2.0
// data-processing-server [PORT] [--proxy-port PORT]: runs in the enclave. It knows vsock, /dev/nsm and KMS, and nothing of
// what stands behind them.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

#include "casemate/kms.h"
#include "casemate/vsock.h"
#include "server.h"

namespace {

using namespace data_processing;
using casemate::Result;

struct Options {
  std::uint32_t port = 5000;
  std::uint32_t proxy_port = 8000;
};

bool parse_port(const char* text, std::uint32_t& out) {
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, out);
  return error == std::errc{} && stop == end && out != 0 && out != casemate::vsock::kAnyCid;
}

bool parse_arguments(int count, char** arguments, Options& options) {
  bool port_seen = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if ((argument == "--proxy-port" || argument == "--port") && i + 1 < count) {
      if (!parse_port(arguments[++i], argument == "--port" ? options.port : options.proxy_port)) return false;
    } else if (!argument.starts_with("-") && !port_seen) {
      port_seen = true;
      if (!parse_port(arguments[i], options.port)) return false;
    } else {
      return false;
    }
  }
  return true;
}

// Clients keeps one KMS client a region: trust is parsed and connections are made once, not once a request.
class Clients {
 public:
  Clients(std::shared_ptr<casemate::kms::Recipient> recipient, std::uint32_t proxy_port)
      : recipient_(std::move(recipient)), proxy_port_(proxy_port) {}

  Result<casemate::Secret> decrypt(const Job& job) {
    auto credentials = casemate::static_credentials(
        {job.access_key_id,
         casemate::Secret::copy_of({reinterpret_cast<const std::uint8_t*>(job.secret_access_key.data()), job.secret_access_key.size()}),
         job.session_token, std::nullopt});
    auto client = in_region(job.region, credentials);
    if (!client) return std::move(client).error();
    auto decrypted = client->with_credentials(std::move(credentials)).decrypt({job.ciphertext, {}, {}, {}});
    if (!decrypted) return std::move(decrypted).error();
    return std::move(decrypted.take().plaintext);
  }

 private:
  // Regions come from the parent: a limit keeps it from filling the enclave's memory.
  static constexpr std::size_t kMostRegions = 16;

  Result<casemate::kms::Client> in_region(const std::string& region, const std::shared_ptr<casemate::CredentialsProvider>& credentials) {
    const std::scoped_lock lock(mutex_);
    if (const auto it = clients_.find(region); it != clients_.end()) return it->second;
    if (clients_.size() == kMostRegions) clients_.clear();
    casemate::kms::Client::Options options;
    options.region = region;
    options.connect = casemate::kms::vsock_connector(proxy_port_);
    options.credentials = credentials;
    options.recipient = recipient_;
    auto client = casemate::kms::Client::create(std::move(options));
    if (client) clients_.emplace(region, *client);
    return client;
  }

  std::shared_ptr<casemate::kms::Recipient> recipient_;
  std::uint32_t proxy_port_;
  std::mutex mutex_;
  std::map<std::string, casemate::kms::Client> clients_;
};

int fail(const casemate::Error& error) {
  std::fprintf(stderr, "data-processing-server: %s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse_arguments(count, arguments, options)) {
    std::fprintf(stderr, "usage: data-processing-server [PORT] [--proxy-port PORT]\n");
    return 2;
  }
  // Blocked before any thread starts, so that only the descriptor sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const casemate::UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC));

  auto module = casemate::nsm::Client::open();
  if (!module) return fail(module.error());
  auto recipient = casemate::kms::Recipient::create(module.take());
  if (!recipient) return fail(recipient.error());
  Clients clients(recipient.take(), options.proxy_port);

  const auto listener = casemate::vsock::listen(options.port);
  if (!listener) return fail(listener.error());
  std::printf("data-processing-server: listening on vsock port %u\n", options.port);
  std::fflush(stdout);
  Server server({}, [&](const Job& job) { return clients.decrypt(job); }, STDOUT_FILENO);
  const auto served = server.serve(listener->get(), stop.get());
  return served ? 0 : fail(served.error());
}
