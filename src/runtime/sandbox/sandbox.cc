// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/sandbox.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
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
    for (const int fd : {listener_.fd(), guest_.keeper_channel.fd(), guest_.guest_channel.fd(), vsock_->poll_fd()}) TRY(watch(fd));
    return guest_.guest_channel.send(MessageKind::kGo);
  }

  GuestExit run(Started& started) {
    while (!init_status_) {
      std::array<epoll_event, 16> events{};
      const int timeout = vsock_->has_waiting() ? static_cast<int>(VsockEmulator::kTick.count()) : -1;
      const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), timeout);
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == listener_.fd()) serve_call(event.events);
        if (event.data.fd == vsock_->poll_fd()) vsock_->serve();
        if (event.data.fd == guest_.guest_channel.fd()) hear_init(started);
        if (event.data.fd == guest_.keeper_channel.fd()) hear_keeper();
      }
      tick_when_due();
      if (const auto status = stock_.take_init_status()) init_status_ = status;
      if (stock_.keeper_gone()) break;
    }
    while (guest_heard_) hear_init(started);
    if (!started_) started.set_value(internal("guest: ended before its application was executed"));
    return decode(app_status_ ? *app_status_ : init_status_.value_or(SIGKILL));
  }

 private:
  Result<void> watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl");
    return {};
  }
  void ignore(int fd) { ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  void tick_when_due() {
    const auto now = std::chrono::steady_clock::now();
    if (!vsock_->has_waiting() || now - last_tick_ < VsockEmulator::kTick) return;
    last_tick_ = now;
    vsock_->tick();
  }

  void serve_call(std::uint32_t events) {
    if ((events & EPOLLIN) == 0) return ignore(listener_.fd());  // no task of the guest is left
    auto call = listener_.receive();
    if (!call.ok()) return ignore(listener_.fd());
    if (!call->has_value()) return;
    const seccomp::Notification notification = call->value_or(seccomp::Notification{});
    if (notification.call == SYS_ioctl) {
      devices_->handle(notification);
    } else {
      vsock_->handle(notification);
    }
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
    std::uint32_t status = SIGKILL;
    if (message.ok() && message->kind == MessageKind::kInitEnded) {
      if (const auto number = ByteReader(message->body).read_u32(); number.ok()) status = *number;
    }
    init_status_ = status;
  }

  Launched& guest_;
  const GuestSpec& spec_;
  fabric::Root root_;
  seccomp::Listener listener_;
  SocketStock stock_;
  std::unique_ptr<VsockEmulator> vsock_;
  std::optional<DeviceEmulator> devices_;
  UniqueFd poll_;
  bool started_ = false;
  bool guest_heard_ = true;
  std::optional<std::uint32_t> app_status_;
  std::optional<std::uint32_t> init_status_;
  std::chrono::steady_clock::time_point last_tick_{};
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
  remove_leftovers();
  const auto program = TRY(guest_filter());
  Shared shared{TRY(embed_init()), bytes_of_program(program), options.interruptible_calls, {}};
  if (options.most_root_bytes != 0) shared.roots.emplace(options.roots, options.most_root_bytes);
  return std::unique_ptr<Backend>(std::make_unique<SandboxBackend>(std::move(shared)));
}

}  // namespace casemate::runtime::sandbox
