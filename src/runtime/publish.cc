// SPDX-License-Identifier: Apache-2.0
#include "runtime/publish.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "base/bytes.h"
#include "fabric/fabric.h"

namespace casemate::runtime {
namespace {

// Bounds descriptors and memory (two buffers each) whatever the number of clients.
constexpr std::size_t kMaxPairs = 256;
constexpr std::size_t kBufferBytes = 64 * 1024;

Result<UniqueFd> listen_tcp(PublishedPort& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.host_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const std::string what = fmt::format("published port {}", port.host_port);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd.get(), 128) != 0) {
    if (errno == EADDRINUSE) return conflict("{}: in use", what);
    return errno_error(what);
  }
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return errno_error(what);
  port.host_port = ntohs(address.sin_port);
  return fd;
}

// Way is one direction of a connection.
struct Way {
  Bytes data = Bytes(kBufferBytes);
  std::size_t first = 0;
  std::size_t last = 0;
  bool ended = false;   // the source sends no more
  bool closed = false;  // and the sink was told

  bool wants_input() const { return !ended && last == 0; }
  bool wants_output() const { return first < last; }

  // False when the connection is broken.
  bool step(int source, int sink) {
    if (wants_input()) {
      const ssize_t count = ::recv(source, data.data(), data.size(), MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (count == 0) ended = true;
      if (count > 0) last = static_cast<std::size_t>(count);
    }
    if (wants_output()) {
      const ssize_t count = ::send(sink, data.data() + first, last - first, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (count > 0) first += static_cast<std::size_t>(count);
      if (first == last) first = last = 0;
    }
    if (ended && last == 0 && !closed) {
      ::shutdown(sink, SHUT_WR);
      closed = true;
    }
    return true;
  }
};

short events_of(const Way& in, const Way& out) {
  return static_cast<short>((in.wants_input() ? POLLIN : 0) | (out.wants_output() ? POLLOUT : 0));
}

}  // namespace

struct Publisher::Pair {
  UniqueFd host;
  UniqueFd guest;
  Way to_guest;
  Way to_host;
  bool broken = false;
};

Result<PublishedPort> parse_published(std::string_view text) {
  const auto colon = text.find(':');
  const auto number = [](std::string_view digits, auto& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
  };
  PublishedPort port;
  if (colon == std::string_view::npos || !number(text.substr(0, colon), port.host_port) ||
      !number(text.substr(colon + 1), port.vsock_port) || port.vsock_port == fabric::kAnyPort)
    return malformed("publish: `{}`, want HOST_PORT:VSOCK_PORT", text.substr(0, 64));
  return port;
}

Result<std::unique_ptr<Publisher>> Publisher::start(std::string fabric, std::uint32_t cid, std::vector<PublishedPort> ports) {
  std::unique_ptr<Publisher> out(new Publisher());
  out->fabric_ = std::move(fabric);
  out->cid_ = cid;
  out->ports_ = std::move(ports);
  for (PublishedPort& port : out->ports_) out->listeners_.push_back(TRY(listen_tcp(port)));
  out->stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!out->stop_) return errno_error("eventfd");
  out->thread_ = std::thread([raw = out.get()] { raw->run(); });
  return out;
}

Publisher::~Publisher() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Publisher::accept(std::size_t listener) {
  UniqueFd host(::accept4(listeners_[listener].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!host) return;
  const int on = 1;
  ::setsockopt(host.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto guest = fabric::connect(fabric_, fabric::kParentCid, {cid_, ports_[listener].vsock_port}, fabric::Type::kStream, fabric::Blocking::kNo);
  if (!guest.ok()) return;
  pairs_.push_back(std::make_unique<Pair>());
  pairs_.back()->host = std::move(host);
  pairs_.back()->guest = guest.take();
}

void Publisher::move(Pair& pair) {
  pair.broken = !pair.to_guest.step(pair.host.get(), pair.guest.get()) || !pair.to_host.step(pair.guest.get(), pair.host.get()) ||
                (pair.to_guest.closed && pair.to_host.closed);
}

void Publisher::run() {
  // Signals are for the thread that waits for them.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  for (;;) {
    std::vector<pollfd> fds{{stop_.get(), POLLIN, 0}};
    for (const UniqueFd& listener : listeners_) fds.push_back({pairs_.size() < kMaxPairs ? listener.get() : -1, POLLIN, 0});
    for (const auto& pair : pairs_) {
      // A side of which nothing is wanted would only report its hang-up, again and again.
      const short host = events_of(pair->to_guest, pair->to_host);
      const short guest = events_of(pair->to_host, pair->to_guest);
      fds.push_back({host != 0 ? pair->host.get() : -1, host, 0});
      fds.push_back({guest != 0 ? pair->guest.get() : -1, guest, 0});
    }
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0) return;
    const std::size_t pairs_at = 1 + listeners_.size();
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (fds[pairs_at + 2 * i].revents != 0 || fds[pairs_at + 2 * i + 1].revents != 0) move(*pairs_[i]);
    }
    std::erase_if(pairs_, [](const auto& pair) { return pair->broken; });
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if (fds[1 + i].revents != 0) accept(i);
    }
  }
}

}  // namespace casemate::runtime
