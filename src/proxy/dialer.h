// SPDX-License-Identifier: Apache-2.0
// Dialer: one TCP connection to the first of several addresses that answers (RFC 8305, Happy Eyeballs).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "net/loop.h"
#include "proxy/address.h"

namespace casemate::proxy {

struct DialOptions {
  std::chrono::milliseconds timeout{10'000};     // for all attempts together
  std::chrono::milliseconds attempt_delay{250};  // RFC 8305, 5
};

// interleave orders addresses as RFC 8305, 4: alternating families, beginning with the first address's.
std::vector<IpAddress> interleave(std::vector<IpAddress> addresses);

// begin_connect starts a connection that is then under way or made. Errors: kUnavailable.
Result<UniqueFd> begin_connect(const IpAddress& address, std::uint16_t port);
// connected_at_once says whether it is made already, as one to this machine mostly is.
bool connected_at_once(const UniqueFd& begun);

class Dialer {
 public:
  using Done = std::function<void(Result<UniqueFd>)>;
  // `begun` may be a connection to the first address that begin_connect started. `done` is called once, never from within
  // the constructor, and may destroy the dialer. Errors: kUnavailable.
  Dialer(net::Loop& loop, std::vector<IpAddress> addresses, std::uint16_t port, DialOptions options, Done done, UniqueFd begun = {});
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

 private:
  struct Attempt {
    IpAddress address;
    UniqueFd fd;
    net::FdWatch watch;  // destroyed before the descriptor is closed
  };

  void start_next();
  void ready(std::size_t index);
  void finish(Result<UniqueFd> result);

  net::Loop& loop_;
  const std::vector<IpAddress> addresses_;
  const std::uint16_t port_;
  const DialOptions options_;
  Done done_;
  UniqueFd begun_;
  std::size_t next_ = 0;
  std::size_t under_way_ = 0;
  std::string last_failure_;
  std::vector<Attempt> attempts_;
  net::Timer delay_;
  net::Timer deadline_;
};

}  // namespace casemate::proxy
