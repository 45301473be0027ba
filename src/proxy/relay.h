// SPDX-License-Identifier: Apache-2.0
// Relay: bytes between pairs of stream sockets on one loop. Copies through one large buffer that all pairs share: as
// fast as splice for one stream and far better for small messages, and an idle pair holds no buffer at all.
#pragma once

#include <functional>
#include <memory>

#include "net/loop.h"

namespace casemate::proxy {

struct RelayOptions {
  // A pair that moves no byte for so long is closed; 0: never.
  std::chrono::milliseconds idle_timeout{0};
};

// RelayEnd is how a pair ended: bytes read from the local side and from the remote one.
struct RelayEnd {
  enum class Reason { kFinished, kReset, kIdle, kStopped };
  std::uint64_t from_local = 0;
  std::uint64_t from_remote = 0;
  Reason reason = Reason::kFinished;
};

class Relay {
 public:
  Relay(net::Loop& loop, RelayOptions options);
  ~Relay();

  using Ended = std::function<void(const RelayEnd&)>;
  // A loop that serves a relay does well to fetch this many events at a time.
  static constexpr std::size_t kBatch = 64;

  // add takes two connected non-blocking sockets, which no other descriptor or process shares. The end of one direction
  // is passed on as such (half-close); a reset of either side resets the other. What one side does not take is held back
  // from the other, at most 256 KiB.
  Result<void> add(UniqueFd local, UniqueFd remote, Ended ended);

  std::size_t open() const;
  // held_bytes is what waits for slow readers, over all pairs.
  std::size_t held_bytes() const;
  void close_all();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace casemate::proxy
