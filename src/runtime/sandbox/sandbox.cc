// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/sandbox.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "fabric/fabric.h"
#include "runtime/sandbox/cgroup.h"
#include "runtime/sandbox/launch.h"
#include "runtime/sandbox/nsm_device.h"
#include "runtime/sandbox/policy.h"
#include "runtime/sandbox/vsock.h"

namespace casemate::runtime::sandbox {
namespace {

Bytes bytes_of_program(const seccomp::Program& program) {
  Bytes out(program.size() * sizeof(sock_filter));
  std::memcpy(out.data(), program.data(), out.size());
  return out;
}

// Every accept that a guest waits in holds a descriptor of ours.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

GuestExit decode(std::uint32_t wait_status) {
  const auto status = static_cast<int>(wait_status);
  if (WIFSIGNALED(status)) return {true, WTERMSIG(status)};
  return {false, WEXITSTATUS(status)};
}

// Outcome is what other threads see of a guest.
class Outcome {
 public:
  void set(GuestExit exit) {
    const std::lock_guard lock(mutex_);
    exit_ = exit;
  }
  std::optional<GuestExit> get() const {
    const std::lock_guard lock(mutex_);
    return exit_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<GuestExit> exit_;
};

// SocketStock takes sockets from the keeper a batch at a time.
class SocketStock {
 public:
  explicit SocketStock(const Channel& keeper) : keeper_(keeper) {}

  UniqueFd take(int type) {
    auto& shelf = shelves_[type == SOCK_SEQPACKET];
    if (shelf.empty()) refill(shelf, type);
    if (shelf.empty()) return {};
    UniqueFd socket = std::move(shelf.back());
    shelf.pop_back();
    return socket;
  }
  // The keeper's last word may come in place of sockets.
  std::optional<std::uint32_t> take_init_status() { return std::exchange(init_status_, std::nullopt); }
  bool keeper_gone() const { return keeper_gone_; }

 private:
  void refill(std::vector<UniqueFd>& shelf, int type) {
    if (keeper_gone_ || init_status_) return;
    const std::uint8_t kind = type == SOCK_SEQPACKET ? 1 : 0;
    if (!keeper_.send(MessageKind::kWantSockets, Bytes{kind}).ok()) {
      keeper_gone_ = true;
      return;
    }
    for (;;) {
      auto message = keeper_.receive();
      if (!message.ok()) {
        keeper_gone_ = true;
        return;
      }
      if (message->kind == MessageKind::kInitEnded) {
        init_status_ = ByteReader(message->body).read_u32().ok() ? std::optional(ByteReader(message->body).read_u32().take()) : 0;
        return;
      }
      if (message->kind == MessageKind::kReleased) return;
      shelf = std::move(message->fds);
    }
  }

  const Channel& keeper_;
  std::array<std::vector<UniqueFd>, 2> shelves_;
  std::optional<std::uint32_t> init_status_;
  bool keeper_gone_ = false;
};

// CallThread waits in the kernel for a guest's calls and does nothing else: going through poll costs two system calls more, and
// epoll wakes another processor. It must be stopped before what it serves goes.
class CallThread {
 public:
  using Serve = std::function<void(const seccomp::Notification&)>;

  CallThread(seccomp::Listener& listener, Serve serve) : thread_([this, &listener, serve = std::move(serve)] { run(listener, serve); }) {}
  CallThread(const CallThread&) = delete;
  CallThread& operator=(const CallThread&) = delete;
  ~CallThread() {
    stopping_ = true;
    // The signal may come just before the thread waits; before Linux 6.11 nothing else ends that.
    while (!ended_) {
      ::pthread_kill(thread_.native_handle(), kWakeUp);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    thread_.join();
  }

  // Ignored by whoever did not ask for it.
  static constexpr int kWakeUp = SIGURG;
  static void allow_wake_up() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(kWakeUp, &action, nullptr);
  }

 private:
  void run(seccomp::Listener& listener, const Serve& serve) {
    sigset_t signals;
    ::sigfillset(&signals);
    ::sigdelset(&signals, kWakeUp);
    ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
    while (!stopping_) {
      const auto call = listener.receive();
      if (!call.ok()) break;
      if (call->has_value()) serve(**call);
    }
    ended_ = true;
  }

  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

// Supervisor runs one guest, on the thread that forked it, from its start to its end.
class Supervisor {
 public:
  using Started = std::promise<Result<void>>;

  Supervisor(Launched& guest, const GuestSpec& spec, fabric::Root root)
      : guest_(guest), spec_(spec), root_(std::move(root)), listener_(std::move(guest.notifications)), stock_(guest.keeper_channel) {}

  Result<void> prepare() {
    vsock_ = TRY(VsockEmulator::create(listener_, std::move(root_), {spec_.cid, guest_.network_cookie, guest_.interruptible, spec_.on_listen},
                                       [this](int type) { return stock_.take(type); }));
    devices_.emplace(listener_, DeviceEmulator::Guest{spec_.cid, guest_.nsm_mount, guest_.vsock_mount, guest_.interruptible, spec_.nsm_delay}, spec_.nsm);
    poll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!poll_) return errno_error("epoll_create1");
    tick_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!tick_) return errno_error("timerfd_create");
    for (const int fd : {guest_.init_handle.get(), guest_.guest_channel.fd(), vsock_->poll_fd(), tick_.get()}) TRY(watch(fd, EPOLLIN));
    // What the keeper says is for the stock of sockets until init has ended; only that it is gone is for us.
    TRY(watch(guest_.keeper_channel.fd(), 0));
    calls_.emplace(listener_, [this](const seccomp::Notification& call) { serve_call(call); });
    return guest_.guest_channel.send(MessageKind::kGo);
  }

  GuestExit run(Started& started) {
    for (bool running = true; running;) {
      std::array<epoll_event, 16> events{};
      const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == vsock_->poll_fd()) serve_waiting();
        if (fd == tick_.get()) tick();
        if (fd == guest_.guest_channel.fd()) hear_init(started);
        if (fd == guest_.init_handle.get() || fd == guest_.keeper_channel.fd()) running = false;
      }
    }
    calls_.reset();
    init_status_ = stock_.take_init_status();
    if (!init_status_ && !stock_.keeper_gone()) hear_keeper();
    while (guest_heard_) hear_init(started);
    if (!started_) started.set_value(internal("guest: ended before its application was executed"));
    return decode(app_status_ ? *app_status_ : init_status_.value_or(SIGKILL));
  }

 private:
  Result<void> watch(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl");
    return {};
  }
  void ignore(int fd) { ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  void set_ticking(bool on) {
    ticking_ = on;
    itimerspec timer{};
    if (on) timer.it_value.tv_nsec = timer.it_interval.tv_nsec = std::chrono::nanoseconds(VsockEmulator::kTick).count();
    ::timerfd_settime(tick_.get(), 0, &timer, nullptr);
  }

  void tick() {
    std::uint64_t times = 0;
    (void)!::read(tick_.get(), &times, sizeof times);
    const std::lock_guard lock(vsock_mutex_);
    vsock_->tick();
    if (!vsock_->has_waiting()) set_ticking(false);
  }

  void serve_waiting() {
    const std::lock_guard lock(vsock_mutex_);
    vsock_->serve();
  }

  // On the thread for calls.
  void serve_call(const seccomp::Notification& call) {
    if (call.call == SYS_ioctl) return devices_->handle(call);
    const std::lock_guard lock(vsock_mutex_);
    vsock_->handle(call);
    if (vsock_->has_waiting() && !ticking_) set_ticking(true);
  }

  void hear_init(Started& started) {
    auto message = guest_.guest_channel.receive();
    if (!message.ok()) {
      guest_heard_ = false;
      return ignore(guest_.guest_channel.fd());
    }
    switch (message->kind) {
      case MessageKind::kStarted:
        started_ = true;
        started.set_value({});
        break;
      case MessageKind::kAppEnded:
        if (const auto status = ByteReader(message->body).read_u32(); status.ok()) app_status_ = *status;
        break;
      case MessageKind::kFailed:
        if (started_ || message->body.empty()) break;
        started_ = true;
        started.set_value(Error(static_cast<ErrorCode>(message->body[0]), std::string(as_text(ByteView(message->body).subspan(1)))));
        break;
      default: break;
    }
  }

  void hear_keeper() {
    auto message = guest_.keeper_channel.receive();
    if (!message.ok() || message->kind != MessageKind::kInitEnded) return;
    if (const auto number = ByteReader(message->body).read_u32(); number.ok()) init_status_ = *number;
  }

  Launched& guest_;
  const GuestSpec& spec_;
  fabric::Root root_;
  seccomp::Listener listener_;
  SocketStock stock_;
  std::mutex vsock_mutex_;  // the emulator is used by the thread for calls and, for accepts that wait, by the guest's
  std::unique_ptr<VsockEmulator> vsock_;
  std::optional<DeviceEmulator> devices_;
  UniqueFd poll_;
  UniqueFd tick_;
  bool ticking_ = false;
  bool started_ = false;
  bool guest_heard_ = true;
  std::optional<std::uint32_t> app_status_;
  std::optional<std::uint32_t> init_status_;
  std::optional<CallThread> calls_;
};

class SandboxGuest final : public Guest {
 public:
  static Result<std::unique_ptr<Guest>> start(const Shared& shared, GuestImage image, GuestSpec spec) {
    std::unique_ptr<SandboxGuest> guest(new SandboxGuest(std::move(spec)));
    guest->exit_event_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!guest->exit_event_) return errno_error("eventfd");
    std::promise<Result<void>> started;
    auto outcome = started.get_future();
    guest->thread_ = std::thread([raw = guest.get(), &shared, file = std::move(image), result = std::move(started)]() mutable {
      raw->run(shared, std::move(file), result);
    });
    if (auto result = outcome.get(); !result.ok()) return result.error();
    return std::unique_ptr<Guest>(std::move(guest));
  }

  ~SandboxGuest() override {
    terminate();
    if (thread_.joinable()) thread_.join();
  }

  int exit_event() const override { return exit_event_.get(); }
  std::optional<GuestExit> exit_status() override { return outcome_.get(); }
  pid_t pid() const override { return pid_; }
  void terminate() override {
    const std::lock_guard lock(handle_mutex_);
    if (handle_) ::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
  }

 private:
  explicit SandboxGuest(GuestSpec spec) : spec_(std::move(spec)) {}

  void run(const Shared& shared, GuestImage image, std::promise<Result<void>>& started) {
    block_signals();
    auto root = fabric::Root::open(spec_.fabric);
    if (!root.ok()) return finish(started, root.error());
    if (auto added = root->add_cid(spec_.cid); !added.ok()) return finish(started, added.error());
    supervise(shared, std::move(image), started);
    root->remove_cid(spec_.cid);
    const std::uint64_t one = 1;
    (void)!::write(exit_event_.get(), &one, sizeof one);
  }

  void supervise(const Shared& shared, GuestImage image, std::promise<Result<void>>& started) {
    auto launched = launch(shared, image, spec_);
    image.file.reset();
    spec_.console.reset();  // the guest's processes hold it; its reader must see its end when they are gone
    if (!launched.ok()) return finish(started, launched.error());
    {
      const std::lock_guard lock(handle_mutex_);
      handle_.reset(::fcntl(launched->init_handle.get(), F_DUPFD_CLOEXEC, 0));
      pid_ = launched->init;
    }
    auto own_root = fabric::Root::open(spec_.fabric);
    if (!own_root.ok()) {
      stop(*launched);
      return finish(started, own_root.error());
    }
    GuestExit exit{true, SIGKILL};
    {
      Supervisor supervisor(*launched, spec_, own_root.take());
      if (auto prepared = supervisor.prepare(); prepared.ok()) {
        exit = supervisor.run(started);
      } else {
        finish(started, prepared.error());
      }
      stop(*launched);
    }
    {
      const std::lock_guard lock(handle_mutex_);
      handle_.reset();
    }
    outcome_.set(exit);
  }

  static void finish(std::promise<Result<void>>& started, Error error) { started.set_value(std::move(error)); }

  // Signals of the process are for its main thread.
  static void block_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  }

  GuestSpec spec_;
  UniqueFd exit_event_;
  Outcome outcome_;
  std::mutex handle_mutex_;
  UniqueFd handle_;
  pid_t pid_ = -1;
  std::thread thread_;
};

class SandboxBackend final : public Backend {
 public:
  explicit SandboxBackend(Shared shared) : shared_(std::move(shared)) {}

  Result<std::unique_ptr<Guest>> start(GuestImage image, GuestSpec spec) override {
    return SandboxGuest::start(shared_, std::move(image), std::move(spec));
  }

 private:
  Shared shared_;
};

}  // namespace

void remove_leftovers() { Cgroup::sweep(); }

Result<std::unique_ptr<Backend>> open_backend(const Options& options) {
  raise_file_limit();
  CallThread::allow_wake_up();
  remove_leftovers();
  const auto program = TRY(guest_filter());
  Shared shared{TRY(embed_init()), bytes_of_program(program), options.interruptible_calls, {}};
  if (options.most_root_bytes != 0) shared.roots.emplace(options.roots, options.most_root_bytes);
  return std::unique_ptr<Backend>(std::make_unique<SandboxBackend>(std::move(shared)));
}

}  // namespace casemate::runtime::sandbox
