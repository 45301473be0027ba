// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/vsock.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/vm_sockets.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <cerrno>
#include <memory>

#include "runtime/sandbox/emulated.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace casemate::runtime::sandbox {
namespace {

// Names that a guest may hold in the fabric at once: files of the host's run folder.
constexpr std::size_t kMaxBoundNames = 4096;
constexpr std::size_t kMaxUnclaimed = 128;
constexpr int kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
// Not for programs: tells the kernel to run the signal's handler and then the call again, or EINTR, as the handler's
// SA_RESTART says.
constexpr int kRestartForSignal = 512;  // ERESTARTSYS

template <typename T>
std::optional<T> option(int fd, int name) {
  T value{};
  socklen_t size = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, name, &value, &size) != 0 || size != sizeof value) return std::nullopt;
  return value;
}

std::uint64_t cookie_of(int fd) {
  return option<std::uint64_t>(fd, SO_COOKIE).value_or(0);
}

bool is_non_blocking(int fd) {
  return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

void set_non_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

bool is_connected(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
}

// The connector of a Unix socket is not woken by its own connect; an edge-triggered waiter that has seen the unconnected
// socket's event would never see another. Setting the send buffer to what it is wakes writers.
void wake_writers(int fd) {
  if (const auto size = option<int>(fd, SO_SNDBUF)) {
    const int half = *size / 2;  // the kernel doubles it
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
  }
}

// BriefReceive bounds accept on a blocking socket to a tick, should another take the connection that poll announced.
class BriefReceive {
 public:
  explicit BriefReceive(int socket) : socket_(socket) {
    socklen_t size = sizeof before_;
    ::getsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &before_, &size);
    const timeval tick{0, 1};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
  }
  BriefReceive(const BriefReceive&) = delete;
  BriefReceive& operator=(const BriefReceive&) = delete;
  ~BriefReceive() {
    const int saved = errno;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &before_, sizeof before_);
    errno = saved;
  }

 private:
  int socket_;
  timeval before_{};
};

Errno bind_errno(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kConflict: return EADDRINUSE;
    case ErrorCode::kLimit: return ENOBUFS;
    default: return EADDRNOTAVAIL;
  }
}

// A virtio transport's answers: a reset where nobody listens (or the backlog is full), no device for a context that
// there is none of.
Errno connect_errno(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound: return ENODEV;
    case ErrorCode::kConflict: return EISCONN;
    case ErrorCode::kDenied: return EADDRNOTAVAIL;
    default: return ECONNRESET;
  }
}

}  // namespace

Result<std::unique_ptr<VsockEmulator>> VsockEmulator::create(const seccomp::Listener& listener, fabric::Root root, Guest guest,
                                                             SocketSource sockets) {
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return errno_error("epoll_create1");
  return std::unique_ptr<VsockEmulator>(new VsockEmulator(listener, std::move(root), guest, std::move(sockets), std::move(poll)));
}

void VsockEmulator::handle(const seccomp::Notification& call) {
  // A thread makes one call at a time: what else of it we hold is over.
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    if (waiting_[i].call.tid == call.tid) forget(i);
  }
  if (const auto again = recall(call)) return finish(call, *again);
  finish(call, decide(call));
}

// recall finds the answer of a call that a signal took back after its effect. The kernel may also say that an answer was
// delivered and drop it, when a signal came at that moment; so a call repeated at once by a process that handles signals
// counts as the same. Without such a handler there is no restart, and a repetition is a new call.
std::optional<VsockEmulator::Outcome> VsockEmulator::recall(const seccomp::Notification& call) {
  constexpr std::chrono::milliseconds kRestartWindow{50};
  for (auto entry = effects_.begin(); entry != effects_.end(); ++entry) {
    if (entry->tid != call.tid) continue;
    const Remembered found = *entry;
    effects_.erase(entry);
    if (found.call != call.call || found.args != call.args) return std::nullopt;
    if (found.delivery == seccomp::Delivery::kGone) return found.outcome;
    const bool at_once = std::chrono::steady_clock::now() - found.when < kRestartWindow;
    if (at_once && Tracee(call.tid).catches_signals()) return found.outcome;
    return std::nullopt;
  }
  return std::nullopt;
}

void VsockEmulator::finish(const seccomp::Notification& call, Outcome outcome) {
  auto delivery = seccomp::Delivery::kDelivered;
  switch (outcome.kind) {
    case Outcome::Kind::kValue: delivery = listener_.succeed(call.id, outcome.value); break;
    case Outcome::Kind::kErrno: delivery = listener_.fail(call.id, static_cast<int>(outcome.value)); break;
    case Outcome::Kind::kResume: listener_.resume(call.id); return;
    case Outcome::Kind::kDone: return;
  }
  if (guest_.interruptible == seccomp::Interruptible::kNo || (call.call != SYS_bind && call.call != SYS_connect)) return;
  // A failure is no effect, but for the errors that say that there is one.
  if (outcome.kind == Outcome::Kind::kErrno && outcome.value != EINPROGRESS) return;
  constexpr std::size_t kMaxEffects = 256;
  if (effects_.size() == kMaxEffects) effects_.erase(effects_.begin());
  effects_.push_back({call.tid, call.call, call.args, outcome, delivery, std::chrono::steady_clock::now()});
}

VsockEmulator::Outcome VsockEmulator::decide(const seccomp::Notification& call) {
  if (call.call == SYS_socket) return socket(call);
  UniqueFd fd = last_.duplicate(call.tid, static_cast<int>(call.args[0]));
  const bool exhausted = !fd && (errno == EMFILE || errno == ENFILE);
  if (!last_.is_confirmed()) {
    if (!listener_.is_valid(call.id)) return done();
    last_.confirm();
  }
  if (exhausted) return failure(ENFILE);  // we are out of descriptors, and it may be one of ours
  // Resuming is safe whatever the guest does to its descriptors meanwhile: the kernel's own call on one of our sockets
  // reaches only names of the guest's mounts and of the keeper's empty network namespace.
  const std::uint64_t cookie = fd ? cookie_of(fd.get()) : 0;
  State* const state = find_ours(fd.get(), cookie);
  if (state == nullptr) return resume();
  const Socket socket{fd.get(), cookie, *state};
  switch (call.call) {
    case SYS_bind: return bind(call, socket);
    case SYS_connect: return connect(call, socket);
    case SYS_listen: return listen(call, fd.get());
#ifdef SYS_accept
    case SYS_accept: return accept(call, std::move(fd), cookie, 0);
#endif
    case SYS_accept4: return accept(call, std::move(fd), cookie, static_cast<int>(call.args[3]));
    case SYS_getsockname: return get_name(call, socket);
    case SYS_getpeername: return get_peer(call, fd.get());
    case SYS_getsockopt: return get_option(call, socket);
    case SYS_setsockopt: return set_option(call, socket);
    case SYS_shutdown: return shutdown(call, fd.get());
    default: return failure(ENOSYS);
  }
}

VsockEmulator::State* VsockEmulator::find_ours(int fd, std::uint64_t cookie) {
  if (cookie == 0) return nullptr;  // no socket
  if (State* const state = ours_.find(cookie)) return state;
  if (guest_.network_cookie != 0) {
    if (others_.find(cookie) != nullptr) return nullptr;
    const auto network = option<std::uint64_t>(fd, SO_NETNS_COOKIE);
    if (network && *network != guest_.network_cookie) return &ours_.at(cookie);
    others_.at(cookie) = true;
    return nullptr;
  }
  if (option<int>(fd, SO_DOMAIN) != AF_UNIX || !fabric::local_name(fd).ok()) return nullptr;
  State& state = ours_.at(cookie);
  state.named = true;  // by another attachment or the SDK: a parent program deceives nobody but its own user
  return &state;
}

VsockEmulator::Outcome VsockEmulator::socket(const seccomp::Notification& call) {
  const auto type = static_cast<int>(call.args[1]);
  const auto protocol = static_cast<int>(call.args[2]);
  const int kind = type & ~kSocketFlags;
  if ((type & ~(0xf | kSocketFlags)) != 0) return failure(EINVAL);
  if (protocol != 0 && protocol != AF_VSOCK) return failure(EPROTONOSUPPORT);
  if (kind == SOCK_DGRAM) return failure(ENODEV);  // no transport of a Nitro guest carries datagrams
  if (kind != SOCK_STREAM && kind != SOCK_SEQPACKET) return failure(ESOCKTNOSUPPORT);

  const UniqueFd made = sockets_(kind);
  if (!made) return failure(ENOBUFS);
  if ((type & SOCK_NONBLOCK) != 0) set_non_blocking(made.get());
  ours_.at(cookie_of(made.get())) = {.fresh = true};
  const auto close_on_exec =
      (type & SOCK_CLOEXEC) != 0 ? seccomp::Listener::CloseOnExec::kYes : seccomp::Listener::CloseOnExec::kNo;
  const auto installed = listener_.install_fd(call.id, made.get(), close_on_exec);
  return installed.errno_number != 0 ? failure(installed.errno_number) : done();
}

VsockEmulator::Outcome VsockEmulator::bind(const seccomp::Notification& call, const Socket& socket) {
  const Tracee tracee(call.tid);
  fabric::Address address;
  if (const Errno error = read_address(tracee, call.args[1], call.args[2], address)) return failure(error);
  if (socket.state.has_port || (!socket.state.fresh && fabric::local_name(socket.fd).ok())) return failure(EINVAL);
  const bool any = address.cid == fabric::kAnyCid;
  if (!any && address.cid != guest_.cid && address.cid != kVsockLocalCid) return failure(EADDRNOTAVAIL);
  if (address.port < fabric::kFirstFreePort && !tracee.has_capability(CAP_NET_BIND_SERVICE)) return failure(EACCES);
  if (!listener_.is_valid(call.id)) return done();

  if (bound_names_ >= kMaxBoundNames) {
    bound_names_ = root_.sweep(guest_.cid);
    if (bound_names_ >= kMaxBoundNames) return failure(ENOBUFS);
  }
  // An accept that still waits for a caller that is dead holds its listening socket, and so the name.
  tick();
  const auto bound = root_.bind(socket.fd, {guest_.cid, address.port}, any ? fabric::Root::Scope::kAny : fabric::Root::Scope::kOwnCid);
  if (!bound.ok()) return failure(bind_errno(bound.error()));
  socket.state = {.named = true, .has_port = true};
  ++bound_names_;
  return value(0);
}

// resolve maps what a guest may call a context to its folder in the fabric. Enclaves reach their parent and themselves,
// the parent every enclave.
std::uint32_t VsockEmulator::resolve(std::uint32_t cid) const {
  if (cid == kVsockLocalCid) return guest_.cid;
  if (guest_.cid == fabric::kParentCid) return cid >= fabric::kParentCid ? cid : fabric::kAnyCid;
  return cid == guest_.cid || cid == fabric::kParentCid ? cid : fabric::kAnyCid;
}

VsockEmulator::Outcome VsockEmulator::connect(const seccomp::Notification& call, const Socket& socket) {
  const Tracee tracee(call.tid);
  const int fd = socket.fd;
  if (!socket.state.fresh && is_connected(fd)) return failure(EISCONN);
  fabric::Address address;
  if (const Errno error = read_address(tracee, call.args[1], call.args[2], address)) return failure(error);
  if (!socket.state.fresh && option<int>(fd, SO_ACCEPTCONN).value_or(0) != 0) return failure(EINVAL);
  if (!listener_.is_valid(call.id)) return done();

  const std::uint32_t cid = resolve(address.cid);
  if (cid == fabric::kAnyCid) return failure(ENODEV);
  // A connection by way of VMADDR_CID_LOCAL has that context at both of its ends.
  const std::uint32_t source = address.cid == kVsockLocalCid ? kVsockLocalCid : guest_.cid;
  // Once a refused connect has given it a port, that is its port.
  const std::uint32_t own_port = socket.state.own_address ? socket.state.own_address->port : fabric::kAnyPort;
  const auto connected = root_.connect(fd, source, {cid, address.port}, socket.state.named, own_port);
  if (connected.ok() || socket.state.named) {
    socket.state.fresh = false;
    socket.state.own_address.reset();
  } else if (!socket.state.has_port && connected.error().code() == ErrorCode::kUnavailable) {
    // Linux binds before it asks the other side.
    socket.state.has_port = true;
    socket.state.own_address = fabric::Address{fabric::kAnyCid, fabric::random_port()};
  }
  const Errno error = connected.ok() ? 0 : connect_errno(connected.error());
  if (error == ENODEV || error == EISCONN || error == EADDRNOTAVAIL || !is_non_blocking(fd)) return result(error);
  // A connect over a transport is never done at once; programs that ask for EINPROGRESS then wait for POLLOUT and read
  // SO_ERROR.
  if (error != 0) connect_errors_.at(socket.cookie) = error;
  wake_writers(fd);
  return failure(EINPROGRESS);
}

VsockEmulator::Outcome VsockEmulator::listen(const seccomp::Notification& call, int fd) {
  const auto name = fabric::local_name(fd);
  if (!name.ok() || is_connected(fd)) return failure(EINVAL);
  if (::listen(fd, static_cast<int>(call.args[1])) != 0) return failure(errno);
  if (guest_.on_listen) guest_.on_listen(name->address.port);
  return value(0);
}

VsockEmulator::Outcome VsockEmulator::accept(const seccomp::Notification& call, UniqueFd fd, std::uint64_t cookie, int flags) {
  if ((flags & ~kSocketFlags) != 0) return failure(EINVAL);
  WaitingAccept accept{call, std::move(fd), cookie, {call.args[1], call.args[2]}, flags, std::nullopt};
  const int listening = accept.listening.get();
  if (option<int>(listening, SO_ACCEPTCONN).value_or(0) == 0) return failure(EINVAL);
  if (const Errno error = check_slot(Tracee(call.tid), accept.slot)) return failure(error);
  const Outcome outcome = try_accept(accept);
  const bool would_block = outcome.kind == Outcome::Kind::kErrno && outcome.value == EAGAIN;
  if (!would_block || is_non_blocking(listening)) return outcome;
  if (const auto timeout = option<timeval>(listening, SO_RCVTIMEO); timeout && (timeout->tv_sec != 0 || timeout->tv_usec != 0))
    accept.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout->tv_sec) + std::chrono::microseconds(timeout->tv_usec);
  wait(std::move(accept));
  return done();
}

UniqueFd VsockEmulator::take_connection(const WaitingAccept& accept, Errno& error) {
  if (const auto found = unclaimed_.find(accept.cookie); found != unclaimed_.end()) {
    UniqueFd connection = std::move(found->second.front());
    found->second.pop_front();
    if (found->second.empty()) unclaimed_.erase(found);
    return connection;
  }
  const int listening = accept.listening.get();
  UniqueFd connection;
  if (is_non_blocking(listening)) {
    connection.reset(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
  } else {
    const BriefReceive brief(listening);
    connection.reset(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
  }
  if (!connection) error = errno == EINTR ? EAGAIN : errno;
  return connection;
}

// try_accept answers with a connection, or says EAGAIN.
VsockEmulator::Outcome VsockEmulator::try_accept(const WaitingAccept& accept) {
  if (!listener_.is_valid(accept.call.id)) return done();
  Errno error = 0;
  UniqueFd connection;
  fabric::Address peer;
  for (;;) {
    connection = take_connection(accept, error);
    if (!connection) return failure(error);
    if (const auto name = fabric::peer_name(connection.get()); name.ok()) {
      peer = name->address;
      break;
    }
    // Not made by way of the fabric: it has no address to tell.
  }
  if ((accept.flags & SOCK_NONBLOCK) != 0) set_non_blocking(connection.get());
  if (accept.slot.address != 0) {
    error = write_address(Tracee(accept.call.tid), accept.slot, peer);
    if (error != 0) return failure(error);
  }
  const auto installed = listener_.install_fd(
      accept.call.id, connection.get(),
      (accept.flags & SOCK_CLOEXEC) != 0 ? seccomp::Listener::CloseOnExec::kYes : seccomp::Listener::CloseOnExec::kNo);
  if (installed.delivery == seccomp::Delivery::kDelivered && installed.errno_number == 0) return done();
  // Interrupted between the two steps, or out of descriptors: the connection is the next accept's.
  auto& queue = unclaimed_[accept.cookie];
  queue.push_back(std::move(connection));
  if (queue.size() > kMaxUnclaimed) queue.pop_front();
  return installed.errno_number != 0 ? failure(installed.errno_number) : done();
}

void VsockEmulator::wait(WaitingAccept accept) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = accept.listening.get();
  if (::epoll_ctl(waiting_poll_.get(), EPOLL_CTL_ADD, accept.listening.get(), &event) != 0) return finish(accept.call, failure(ENOMEM));
  waiting_.push_back(std::move(accept));
}

void VsockEmulator::forget(std::size_t index) {
  // Closing our descriptor is not enough: the guest's keeps the file, and with it the registration, alive.
  ::epoll_ctl(waiting_poll_.get(), EPOLL_CTL_DEL, waiting_[index].listening.get(), nullptr);
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(index));
}

void VsockEmulator::serve() {
  std::array<epoll_event, 32> events{};
  const int count = ::epoll_wait(waiting_poll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    for (std::size_t at = 0; at < waiting_.size(); ++at) {
      if (waiting_[at].listening.get() != fd) continue;
      const Outcome outcome = try_accept(waiting_[at]);
      if (outcome.kind == Outcome::Kind::kErrno && outcome.value == EAGAIN) break;
      const seccomp::Notification call = waiting_[at].call;
      forget(at);
      finish(call, outcome);
      break;
    }
  }
}

void VsockEmulator::tick() {
  const TimePoint now = std::chrono::steady_clock::now();
  for (std::size_t i = waiting_.size(); i-- > 0;) {
    const seccomp::Notification call = waiting_[i].call;
    if (!listener_.is_valid(call.id)) {
      forget(i);
    } else if (waiting_[i].deadline && *waiting_[i].deadline <= now) {
      forget(i);
      finish(call, failure(EAGAIN));
    } else if (guest_.interruptible == seccomp::Interruptible::kNo && Tracee(call.tid).has_signal_to_handle()) {
      forget(i);
      finish(call, failure(kRestartForSignal));
    }
  }
}

VsockEmulator::Outcome VsockEmulator::get_name(const seccomp::Notification& call, const Socket& socket) {
  const int fd = socket.fd;
  if (socket.state.own_address) return result(write_address(Tracee(call.tid), {call.args[1], call.args[2]}, *socket.state.own_address));
  fabric::Address address{fabric::kAnyCid, fabric::kAnyPort};
  if (const auto name = fabric::local_name(fd); name.ok()) {
    // An accepted connection shares its listener's name, but has the address that was connected to.
    const bool accepted = !name->named_by_connect && is_connected(fd);
    address = {name->any_cid && !accepted ? fabric::kAnyCid : name->address.cid, name->address.port};
    if (const auto peer = fabric::peer_name(fd); accepted && peer.ok() && peer->address.cid == kVsockLocalCid) address.cid = kVsockLocalCid;
  }
  socket.state.own_address = address;
  return result(write_address(Tracee(call.tid), {call.args[1], call.args[2]}, address));
}

VsockEmulator::Outcome VsockEmulator::get_peer(const seccomp::Notification& call, int fd) {
  const auto name = fabric::peer_name(fd);
  if (!name.ok()) return failure(ENOTCONN);
  fabric::Address address = name->address;
  if (const auto own = fabric::local_name(fd); own.ok() && own->named_by_connect && own->address.cid == kVsockLocalCid) address.cid = kVsockLocalCid;
  return result(write_address(Tracee(call.tid), {call.args[1], call.args[2]}, address));
}

VsockEmulator::Outcome VsockEmulator::get_option(const seccomp::Notification& call, const Socket& socket) {
  const Tracee tracee(call.tid);
  const auto level = static_cast<int>(call.args[1]);
  const auto name = static_cast<int>(call.args[2]);
  if (level == AF_VSOCK) {
    const VsockOptions* set = options_.find(socket.cookie);
    return result(write_option(tracee, set != nullptr ? *set : VsockOptions{}, name, call.args[3], call.args[4]));
  }
  if (level == SOL_SOCKET && name == SO_DOMAIN) return result(write_int(tracee, AF_VSOCK, call.args[3], call.args[4]));
  if (level == SOL_SOCKET && name == SO_ERROR) {
    if (Errno* pending = connect_errors_.find(socket.cookie); pending != nullptr && *pending != 0)
      return result(write_int(tracee, std::exchange(*pending, 0), call.args[3], call.args[4]));
    return result(write_int(tracee, option<int>(socket.fd, SO_ERROR).value_or(0), call.args[3], call.args[4]));
  }
  return failure(ENOPROTOOPT);
}

VsockEmulator::Outcome VsockEmulator::set_option(const seccomp::Notification& call, const Socket& socket) {
  VsockOptions& options = options_.at(socket.cookie);
  return result(read_option(Tracee(call.tid), options, static_cast<int>(call.args[2]), call.args[3], call.args[4]));
}

VsockEmulator::Outcome VsockEmulator::shutdown(const seccomp::Notification& call, int fd) {
  const auto how = static_cast<int>(call.args[1]);
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return failure(EINVAL);
  if (!is_connected(fd)) return failure(ENOTCONN);
  return result(::shutdown(fd, how) == 0 ? 0 : errno);
}

}  // namespace casemate::runtime::sandbox
