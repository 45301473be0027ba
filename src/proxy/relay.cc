// SPDX-License-Identifier: Apache-2.0
#include "proxy/relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

namespace casemate::proxy {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
// Remainders up to this are copied to a block of their size; larger ones keep the buffer they are in.
constexpr std::size_t kCopiedBytes = 16 * 1024;
// With this much held for slow readers, reads are small, so that thousands of stalled pairs hold 16 KiB each.
constexpr std::size_t kPlentyHeldBytes = 32 * 1024 * 1024;
constexpr std::size_t kFreeBuffers = 16;

using Buffer = std::unique_ptr<char[]>;

class Tunnel;

}  // namespace

struct Relay::State {
  net::Loop& loop;
  const RelayOptions options;
  Buffer scratch = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  std::vector<Buffer> free;
  std::size_t held = 0;
  std::unordered_map<Tunnel*, std::unique_ptr<Tunnel>> tunnels;
  net::Timer sweeper;

  State(net::Loop& on, RelayOptions with) : loop(on), options(with) {}
  Buffer take_buffer() {
    if (free.empty()) return std::make_unique_for_overwrite<char[]>(kBufferBytes);
    Buffer out = std::move(free.back());
    free.pop_back();
    return out;
  }
  void give_back(Buffer buffer) {
    if (free.size() < kFreeBuffers) free.push_back(std::move(buffer));
  }
  void sweep();
};

namespace {

// Tunnel is one pair. Direction i carries what is read from side i to the other side.
class Tunnel final : public net::Watcher {
 public:
  Tunnel(Relay::State& relay, UniqueFd local, UniqueFd remote, Relay::Ended ended);
  ~Tunnel() override;

  Result<void> start();
  void on_ready(std::uint32_t) override {}
  void close(RelayEnd::Reason reason);
  net::SteadyTime last_moved() const { return last_moved_; }

 private:
  struct Side final : net::Watcher {
    Tunnel* tunnel = nullptr;
    int index = 0;
    UniqueFd fd;
    std::uint32_t interest = 0;  // 0: not registered, so that a hang-up does not wake us for nothing
    bool ended = false;          // nothing more is read from here
    bool finished = false;       // and all of it has been passed on
    std::uint64_t bytes = 0;
    Buffer held;  // read from here, not yet taken by the other side
    std::size_t held_from = 0;
    std::size_t held_to = 0;
    bool held_whole = false;  // `held` is one of the relay's buffers

    void on_ready(std::uint32_t events) override { tunnel->ready(index, events); }
    bool holds() const { return held_from < held_to; }
  };

  Side& side(int index) { return sides_[static_cast<std::size_t>(index)]; }
  void ready(int index, std::uint32_t events);
  void pump(int index, bool hung_up);
  void flush(int index);
  void hold(Side& from, std::size_t offset, std::size_t size);
  void release(Side& from);
  void pass_end(int index);
  void drop_direction(int index);
  void update();
  void want(Side& each, std::uint32_t events);

  Relay::State& relay_;
  std::array<Side, 2> sides_;
  Relay::Ended ended_;
  net::SteadyTime last_moved_;
  bool open_ = true;
};

Tunnel::Tunnel(Relay::State& relay, UniqueFd local, UniqueFd remote, Relay::Ended ended)
    : relay_(relay), ended_(std::move(ended)), last_moved_(relay.loop.now()) {
  for (int i = 0; i < 2; ++i) {
    side(i).tunnel = this;
    side(i).index = i;
  }
  side(0).fd = std::move(local);
  side(1).fd = std::move(remote);
}

Tunnel::~Tunnel() {
  for (Side& each : sides_) release(each);
}

Result<void> Tunnel::start() {
  for (Side& each : sides_) {
    TRY(relay_.loop.add(each.fd.get(), EPOLLIN, each));
    each.interest = EPOLLIN;
  }
  return {};
}

void Tunnel::close(RelayEnd::Reason reason) {
  if (!open_) return;
  open_ = false;
  for (Side& each : sides_) {
    if (reason != RelayEnd::Reason::kFinished) {
      const linger reset{1, 0};
      ::setsockopt(each.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    relay_.loop.remove(each.fd, each);
    release(each);
  }
  const auto ended = std::move(ended_);
  const RelayEnd end{side(0).bytes, side(1).bytes, reason};
  if (const auto it = relay_.tunnels.find(this); it != relay_.tunnels.end()) {
    relay_.loop.retire(std::move(it->second));
    relay_.tunnels.erase(it);
  }
  if (ended) ended(end);
}

void Tunnel::ready(int index, std::uint32_t events) {
  if (!open_) return;
  last_moved_ = relay_.loop.now();
  Side& each = side(index);
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0 && side(1 - index).holds()) flush(1 - index);
  if (open_ && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && !each.ended && !each.holds()) pump(index, (events & EPOLLHUP) != 0);
  if (open_) update();
}

// One read an event: others have their turn, and level-triggered readiness brings the rest. A side that has hung up takes
// nothing more either, so once it is read to its end the pair is over, whatever the other side does.
void Tunnel::pump(int index, bool hung_up) {
  Side& from = side(index);
  Side& to = side(1 - index);
  const std::size_t room = relay_.held < kPlentyHeldBytes ? kBufferBytes : kCopiedBytes;
  const ssize_t got = ::recv(from.fd.get(), relay_.scratch.get(), room, MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) close(RelayEnd::Reason::kReset);
    return;
  }
  if (got == 0) {
    if (hung_up) return close(RelayEnd::Reason::kFinished);
    from.ended = true;
    return pass_end(index);
  }
  const auto size = static_cast<std::size_t>(got);
  from.bytes += size;
  const ssize_t put = ::send(to.fd.get(), relay_.scratch.get(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0 && errno != EAGAIN && errno != EINTR) return drop_direction(index);
  const std::size_t sent = put < 0 ? 0 : static_cast<std::size_t>(put);
  if (sent < size) hold(from, sent, size - sent);
}

void Tunnel::hold(Side& from, std::size_t offset, std::size_t size) {
  if (size <= kCopiedBytes) {
    from.held = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(from.held.get(), relay_.scratch.get() + offset, size);
    from.held_from = 0;
    from.held_whole = false;
  } else {
    from.held = std::exchange(relay_.scratch, relay_.take_buffer());
    from.held_from = offset;
    from.held_whole = true;
  }
  from.held_to = from.held_from + size;
  relay_.held += from.held_whole ? kBufferBytes : size;
}

void Tunnel::release(Side& from) {
  if (!from.held) return;
  relay_.held -= from.held_whole ? kBufferBytes : from.held_to;
  if (from.held_whole) relay_.give_back(std::move(from.held));
  from.held.reset();
  from.held_from = from.held_to = 0;
}

void Tunnel::flush(int index) {
  Side& from = side(index);
  Side& to = side(1 - index);
  const ssize_t put =
      ::send(to.fd.get(), from.held.get() + from.held_from, from.held_to - from.held_from, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0) {
    if (errno != EAGAIN && errno != EINTR) drop_direction(index);
    return;
  }
  from.held_from += static_cast<std::size_t>(put);
  if (from.holds()) return;
  release(from);
  if (from.ended) pass_end(index);
}

void Tunnel::pass_end(int index) {
  Side& from = side(index);
  if (from.holds() || from.finished) return;
  from.finished = true;
  if (side(1 - index).finished) return close(RelayEnd::Reason::kFinished);
  ::shutdown(side(1 - index).fd.get(), SHUT_WR);
}

// The reader of this direction is gone; the other direction may still have something to say.
void Tunnel::drop_direction(int index) {
  Side& from = side(index);
  release(from);
  from.ended = from.finished = true;
  ::shutdown(from.fd.get(), SHUT_RD);
  if (side(1 - index).finished) close(RelayEnd::Reason::kReset);
}

void Tunnel::update() {
  for (int i = 0; i < 2 && open_; ++i) {
    Side& each = side(i);
    std::uint32_t events = 0;
    if (!each.ended && !each.holds()) events |= EPOLLIN;
    if (side(1 - i).holds()) events |= EPOLLOUT;
    want(each, events);
  }
}

void Tunnel::want(Side& each, std::uint32_t events) {
  if (events == each.interest) return;
  Result<void> changed;
  if (events == 0) {
    relay_.loop.remove(each.fd.get(), each);
  } else if (each.interest == 0) {
    changed = relay_.loop.add(each.fd.get(), events, each);
  } else {
    changed = relay_.loop.modify(each.fd.get(), events, each);
  }
  each.interest = changed.ok() ? events : 0;
  if (!changed.ok()) close(RelayEnd::Reason::kReset);
}

}  // namespace

void Relay::State::sweep() {
  std::vector<Tunnel*> idle;
  for (const auto& entry : tunnels) {
    if (loop.now() - entry.first->last_moved() >= options.idle_timeout) idle.push_back(entry.first);
  }
  for (Tunnel* const each : idle) each->close(RelayEnd::Reason::kIdle);
}

Relay::Relay(net::Loop& loop, RelayOptions options) : state_(std::make_unique<State>(loop, options)) {
  if (options.idle_timeout.count() == 0) return;
  const auto period = std::clamp<std::chrono::milliseconds>(options.idle_timeout / 8, std::chrono::milliseconds(5),
                                                            std::chrono::milliseconds(1000));
  state_->sweeper = loop.every(period, [state = state_.get()] { state->sweep(); });
}

Relay::~Relay() {
  close_all();
}

Result<void> Relay::add(UniqueFd local, UniqueFd remote, Ended ended) {
  auto tunnel = std::make_unique<Tunnel>(*state_, std::move(local), std::move(remote), std::move(ended));
  Tunnel& started = *state_->tunnels.emplace(tunnel.get(), std::move(tunnel)).first->second;
  auto result = started.start();
  if (!result.ok()) started.close(RelayEnd::Reason::kReset);
  return result;
}

std::size_t Relay::open() const {
  return state_->tunnels.size();
}
std::size_t Relay::held_bytes() const {
  return state_->held;
}

void Relay::close_all() {
  while (!state_->tunnels.empty()) state_->tunnels.begin()->second->close(RelayEnd::Reason::kStopped);
}

}  // namespace casemate::proxy
