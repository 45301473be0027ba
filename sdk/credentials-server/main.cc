// SPDX-License-Identifier: Apache-2.0
// casemate-credentials-server: serves the parent's AWS credentials to its enclaves, one JSON object a vsock connection.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <unistd.h>

#include <filesystem>

#include "casemate/message.h"
#include "casemate/parent.h"
#include "os/file.h"
#include "os/paths.h"
#include "os/process.h"

namespace {

using namespace casemate;

constexpr std::chrono::milliseconds kPatience{2000};

// An answer this small fits the socket's buffer, so that an enclave that does not read holds up nobody.
void answer(int connection, CredentialsProvider& provider) {
  message::Fields fields;
  const auto credentials = provider.get(kPatience);
  if (credentials) {
    const Credentials& found = **credentials;
    const auto secret = found.secret_access_key.expose();
    fields.add("AccessKeyId", found.access_key_id);
    fields.add("SecretAccessKey", std::string(reinterpret_cast<const char*>(secret.data()), secret.size()));
    fields.add("Token", found.session_token);
    if (found.expires) {
      const std::time_t seconds = std::chrono::system_clock::to_time_t(*found.expires);
      std::tm parts{};
      char text[32];
      if (::gmtime_r(&seconds, &parts) != nullptr && std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) != 0) fields.add("Expiration", text);
    }
  } else {
    std::fprintf(stderr, "casemate-credentials-server: %s\n", credentials.error().message().c_str());
    fields.add("error", credentials.error().message());
  }
  const auto sent = message::send(connection, fields, std::chrono::milliseconds{0});
  if (!sent) std::fprintf(stderr, "casemate-credentials-server: %s\n", sent.error().message().c_str());
  ::shutdown(connection, SHUT_WR);
}

// RunFile is <run>/proxies/PID on the local platform, so that `casemate down` ends this too.
class RunFile {
 public:
  RunFile() {
    const auto paths = os::paths_from_environment();
    std::error_code ignored;
    if (!paths || !std::filesystem::is_directory(paths->fabric(), ignored)) return;
    const auto self = os::identify(::getpid());
    if (!self || !os::make_private_directories(paths->proxies())) return;
    path_ = paths->proxies() / std::to_string(self->pid);
    if (!os::write_pid_file(path_, *self)) path_.clear();
  }
  ~RunFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;

 private:
  os::Path path_;
};

int serve(int listener, int stop) {
  const auto provider = parent::default_credentials();
  for (;;) {
    pollfd entries[] = {{listener, POLLIN, 0}, {stop, POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return 1;
    if (entries[1].revents != 0) return 0;
    const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      answer(connection.get(), *provider);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      ::poll(nullptr, 0, 100);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::uint32_t port = 8001;
  if (count > 2 || (count == 2 && (std::string_view(arguments[1]).starts_with('-') ||
                                   std::from_chars(arguments[1], arguments[1] + std::strlen(arguments[1]), port).ptr != arguments[1] + std::strlen(arguments[1])))) {
    std::fprintf(stderr, "usage: casemate-credentials-server [PORT]\n\nServes this instance's credentials to its enclaves on vsock port PORT (8001) of CID 3.\n");
    return 2;
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC));
  const auto listener = parent::listen(port);
  if (!listener) {
    std::fprintf(stderr, "casemate-credentials-server: %s\n", listener.error().message().c_str());
    return 1;
  }
  const RunFile run_file;
  return serve((*listener)->fd(), stop.get());
}
