// SPDX-License-Identifier: Apache-2.0
#include "proxy/dialer.h"

#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace casemate::proxy {

std::vector<IpAddress> interleave(std::vector<IpAddress> addresses) {
  if (addresses.empty()) return addresses;
  const bool first_family = addresses.front().is_ipv4();
  const auto middle = std::stable_partition(addresses.begin(), addresses.end(),
                                            [&](const IpAddress& each) { return each.is_ipv4() == first_family; });
  std::vector<IpAddress> out;
  auto one = addresses.begin();
  auto other = middle;
  while (one != middle || other != addresses.end()) {
    if (one != middle) out.push_back(*one++);
    if (other != addresses.end()) out.push_back(*other++);
  }
  return out;
}

Result<UniqueFd> begin_connect(const IpAddress& address, std::uint16_t port) {
  sockaddr_storage storage;
  const socklen_t size = address.to_socket_address(port, storage);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return unavailable("{}: {}", address.text(), std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno != EINPROGRESS)
    return unavailable("{}: {}", address.text(), std::strerror(errno));
  return fd;
}

bool connected_at_once(const UniqueFd& begun) {
  pollfd entry{begun.get(), POLLOUT, 0};
  return ::poll(&entry, 1, 0) == 1 && entry.revents == POLLOUT;
}

Dialer::Dialer(net::Loop& loop, std::vector<IpAddress> addresses, std::uint16_t port, DialOptions options, Done done,
               UniqueFd begun)
    : loop_(loop),
      addresses_(interleave(std::move(addresses))),
      port_(port),
      options_(options),
      done_(std::move(done)),
      begun_(std::move(begun)),
      last_failure_("no address") {
  attempts_.reserve(addresses_.size());
  deadline_ = loop_.after(options_.timeout,
                          [this] { finish(unavailable("no connection within {} ms", options_.timeout.count())); });
  start_next();
}

Dialer::~Dialer() = default;

// Starts attempts until one is under way. What ends at once is told from a timer: the caller is still in its own call.
void Dialer::start_next() {
  while (next_ < addresses_.size()) {
    const IpAddress& address = addresses_[next_++];
    auto opened = begun_ ? Result<UniqueFd>(std::move(begun_)) : begin_connect(address, port_);
    if (!opened.ok()) {
      last_failure_ = opened.error().message();
      continue;
    }
    UniqueFd fd = opened.take();
    const std::size_t index = attempts_.size();
    auto watch = loop_.watch(fd.get(), EPOLLOUT, [this, index](std::uint32_t) { ready(index); });
    if (!watch.ok()) {
      last_failure_ = watch.error().message();
      continue;
    }
    attempts_.push_back({address, std::move(fd), watch.take()});
    ++under_way_;
    if (next_ < addresses_.size()) delay_ = loop_.after(options_.attempt_delay, [this] { start_next(); });
    return;
  }
  if (under_way_ == 0) {
    delay_ =
        loop_.after(std::chrono::milliseconds(0), [this] { finish(unavailable("no connection: {}", last_failure_)); });
  }
}

void Dialer::ready(std::size_t index) {
  Attempt& attempt = attempts_[index];
  attempt.watch.cancel();
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(attempt.fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure == 0) return finish(std::move(attempt.fd));
  attempt.fd.reset();
  --under_way_;
  last_failure_ = fmt::format("{}: {}", attempt.address.text(), std::strerror(failure));
  delay_.cancel();
  start_next();
}

void Dialer::finish(Result<UniqueFd> result) {
  deadline_.cancel();
  delay_.cancel();
  for (Attempt& attempt : attempts_) {
    attempt.watch.cancel();
    attempt.fd.reset();
  }
  const Done done = std::exchange(done_, nullptr);
  if (done) done(std::move(result));
}

}  // namespace casemate::proxy
