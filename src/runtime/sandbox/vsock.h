// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK for a guest: the calls that make, name and connect sockets, done on Unix sockets of the fabric. Data moves
// between the two ends in the kernel; nothing here reads a connection.
//
// A guest's socket is known to be ours by its network namespace: it was made by the keeper, or by whoever connected to
// it, and never in the guest's own. So nothing must be kept per socket but options, the error of a failed non-blocking
// connect and whether we gave it its name, and duplicates, forks and passed descriptors are right by themselves. What else is
// kept of the recent ones, by the cookie that no other socket ever has, spares system calls. A parent program (attach.h)
// shares our network namespace: its sockets are known by having been made here, and by their names in the fabric.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "fabric/fabric.h"
#include "runtime/sandbox/vsock_abi.h"
#include "seccomp/notify.h"

namespace casemate::runtime::sandbox {

// Recent keeps the values of the most recently added keys: sockets end without our knowledge.
template <typename Value>
class Recent {
 public:
  explicit Recent(std::size_t limit) : limit_(limit) {}
  Value& at(std::uint64_t key) {
    const auto [found, added] = values_.try_emplace(key);
    if (added) {
      order_.push_back(key);
      if (order_.size() > limit_) {
        values_.erase(order_.front());
        order_.pop_front();
      }
    }
    return found->second;
  }
  Value* find(std::uint64_t key) {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }

 private:
  std::size_t limit_;
  std::map<std::uint64_t, Value> values_;
  std::deque<std::uint64_t> order_;
};

class VsockEmulator {
 public:
  struct Guest {
    std::uint32_t cid = 0;
    std::uint64_t network_cookie = 0;  // 0: a parent program in our own network namespace
    seccomp::Interruptible interruptible = seccomp::Interruptible::kYes;
    // Called when a socket bound to a port begins to listen.
    std::function<void(std::uint32_t port)> on_listen;
  };
  // SocketSource gives an unbound Unix socket of a type (SOCK_STREAM, SOCK_SEQPACKET) from the keeper's namespace.
  using SocketSource = std::function<UniqueFd(int type)>;

  static Result<std::unique_ptr<VsockEmulator>> create(const seccomp::Listener& listener, fabric::Root root, Guest guest,
                                                       SocketSource sockets);

  // handle answers one notified socket call; a blocking accept may be answered later. Never blocks.
  void handle(const seccomp::Notification& call);

  // Waiting accepts: poll_fd() is readable when one may go on, serve() then lets it. While has_waiting(), tick() must be
  // called every kTick: it ends what timed out or died, and lets signals through.
  static constexpr std::chrono::milliseconds kTick{100};
  int poll_fd() const { return waiting_poll_.get(); }
  bool has_waiting() const { return !waiting_.empty(); }
  void serve();
  void tick();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Outcome of a decision: a value, an errno, the kernel's own business, or to be answered later (or already done).
  struct Outcome {
    enum class Kind { kValue, kErrno, kResume, kDone } kind = Kind::kDone;
    std::int64_t value = 0;
  };
  static Outcome value(std::int64_t number) { return {Outcome::Kind::kValue, number}; }
  static Outcome failure(Errno number) { return {Outcome::Kind::kErrno, number}; }
  static Outcome result(Errno number) { return number == 0 ? value(0) : failure(number); }
  static Outcome resume() { return {Outcome::Kind::kResume, 0}; }
  static Outcome done() { return {}; }

  // State is what is kept of a socket of ours.
  struct State {
    // By us, so that its name may be told to whom it connects. A guest can have the kernel name one of our sockets, by a bind
    // that is resumed on another that it then puts in its place.
    bool named = false;
    bool fresh = false;     // made for a guest's socket() and neither bound, connected nor listening by its calls
    bool has_port = false;  // or at least a port, since a connect gave it one, though nobody listened
    std::optional<fabric::Address> own_address = std::nullopt;  // as getsockname tells it; changed by nothing but our bind and connect
  };
  struct Socket {
    int fd = -1;
    std::uint64_t cookie = 0;
    State& state;
  };

  struct WaitingAccept {
    seccomp::Notification call;
    UniqueFd listening;
    std::uint64_t cookie = 0;
    AddressSlot slot;
    int flags = 0;
    std::optional<TimePoint> deadline;
  };
  struct Remembered {
    pid_t tid = 0;
    int call = 0;
    std::array<std::uint64_t, 6> args{};
    Outcome outcome;
    seccomp::Delivery delivery = seccomp::Delivery::kGone;
    TimePoint when;
  };

  VsockEmulator(const seccomp::Listener& listener, fabric::Root root, Guest guest, SocketSource sockets, UniqueFd poll)
      : listener_(listener), root_(std::move(root)), guest_(std::move(guest)), sockets_(std::move(sockets)), waiting_poll_(std::move(poll)),
        connect_errors_(1024), options_(4096), ours_(65536), others_(4096) {}

  Outcome decide(const seccomp::Notification& call);
  Outcome socket(const seccomp::Notification& call);
  Outcome bind(const seccomp::Notification& call, const Socket& socket);
  Outcome connect(const seccomp::Notification& call, const Socket& socket);
  Outcome listen(const seccomp::Notification& call, int fd);
  Outcome accept(const seccomp::Notification& call, UniqueFd fd, std::uint64_t cookie, int flags);
  Outcome get_name(const seccomp::Notification& call, const Socket& socket);
  Outcome get_peer(const seccomp::Notification& call, int fd);
  Outcome get_option(const seccomp::Notification& call, const Socket& socket);
  Outcome set_option(const seccomp::Notification& call, const Socket& socket);
  Outcome shutdown(const seccomp::Notification& call, int fd);

  // find_ours gives what is kept of a socket of ours; nullptr: it is another's.
  State* find_ours(int fd, std::uint64_t cookie);
  Outcome try_accept(const WaitingAccept& accept);
  UniqueFd take_connection(const WaitingAccept& accept, Errno& error);
  void wait(WaitingAccept accept);
  void forget(std::size_t index);
  void finish(const seccomp::Notification& call, Outcome outcome);
  std::optional<Outcome> recall(const seccomp::Notification& call);
  std::uint32_t resolve(std::uint32_t cid) const;

  const seccomp::Listener& listener_;
  LastTracee last_;
  fabric::Root root_;
  Guest guest_;
  SocketSource sockets_;
  UniqueFd waiting_poll_;
  std::vector<WaitingAccept> waiting_;
  // Connections accepted for a call that was then interrupted, by listening socket.
  std::map<std::uint64_t, std::deque<UniqueFd>> unclaimed_;
  // The last effect of each thread, where its answer may not have arrived: the call, when it is made again, gets that
  // answer (old kernels only).
  std::vector<Remembered> effects_;
  Recent<Errno> connect_errors_;
  Recent<VsockOptions> options_;
  Recent<State> ours_;
  Recent<bool> others_;
  std::size_t bound_names_ = 0;
};

}  // namespace casemate::runtime::sandbox
