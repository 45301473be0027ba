// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/attach.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
// linux/vm_sockets.h needs sys/socket.h before it.
#include <linux/vm_sockets.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "runtime/sandbox/boot.h"
#include "runtime/sandbox/emulated.h"
#include "runtime/sandbox/tracee.h"
#include "runtime/sandbox/vsock.h"
#include "seccomp/notify.h"

namespace casemate::runtime::sandbox {
namespace {

Result<seccomp::Program> parent_filter() {
  using seccomp::notify;
  std::vector<seccomp::Rule> rules = {
      {"socket", {{0, AF_VSOCK}}, notify(), "the fabric's vsock in place of the kernel's"},
      {"socketpair", {{0, AF_VSOCK}}, seccomp::fail(EOPNOTSUPP), "as the kernel answers, with or without AF_VSOCK"},
      {"getsockopt", {{1, AF_VSOCK}}, notify(), "options of the emulated family"},
      {"getsockopt", {{1, SOL_SOCKET}, {2, SO_DOMAIN}}, notify(), "must say AF_VSOCK"},
      {"getsockopt", {{1, SOL_SOCKET}, {2, SO_ERROR}}, notify(), "outcome of an emulated non-blocking connect"},
      {"setsockopt", {{1, AF_VSOCK}}, notify(), "options of the emulated family"},
      {"ioctl", {{1, kVsockGetLocalCid}}, notify(), "/dev/vsock must tell the parent's CID"},
      {"io_uring_setup", {}, seccomp::fail(ENOSYS), "runs socket calls that this filter would not see"},
  };
  for (const char* call : {"bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "shutdown"})
    rules.push_back({call, {}, notify(), "emulated on sockets that stand for AF_VSOCK, resumed on others"});
  return seccomp::assemble(rules, seccomp::allow(), seccomp::allow());
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become_command(const std::vector<std::string>& command, const seccomp::Program& filter, const Channel& channel) {
  const auto give_up = [&channel](const Error& error) {
    Bytes body{static_cast<std::uint8_t>(error.code())};
    append(body, as_bytes(std::string_view(error.message()).substr(0, 1024)));
    (void)channel.send(MessageKind::kFailed, body).ok();
    ::_exit(126);
  };
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(errno_error("no_new_privs"));
  reset_signals();
  std::vector<char*> arguments;
  for (const auto& item : command) arguments.push_back(const_cast<char*>(item.c_str()));
  arguments.push_back(nullptr);
  auto installed = seccomp::install(filter);
  if (!installed.ok()) give_up(installed.error());
  const std::uint8_t interruptible = installed->interruptible == seccomp::Interruptible::kYes ? 1 : 0;
  if (!channel.send(MessageKind::kFilter, Bytes{interruptible}, {installed->listener.get()}).ok()) ::_exit(126);
  installed->listener.reset();
  ::execvp(arguments[0], arguments.data());
  const int number = errno;
  fmt::print(stderr, "casemate exec: {}\n", errno_error(command[0], number).message());
  ::_exit(number == ENOENT ? 127 : 126);
}

Result<UniqueFd> watch_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGHUP, SIGINT, SIGQUIT}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return errno_error("signalfd");
  return fd;
}

class Attachment {
 public:
  Attachment(pid_t child, UniqueFd ended, UniqueFd signals, UniqueFd notifications)
      : child_(child), ended_(std::move(ended)), signals_(std::move(signals)), listener_(std::move(notifications)) {}

  Result<void> prepare(fabric::Root root, seccomp::Interruptible interruptible) {
    vsock_ = TRY(VsockEmulator::create(listener_, std::move(root), {fabric::kParentCid, 0, interruptible, {}}, [](int type) {
      return UniqueFd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    }));
    return {};
  }

  int run() {
    bool open = true;
    for (;;) {
      std::array<pollfd, 4> items{pollfd{ended_.get(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0},
                                  pollfd{open ? listener_.fd() : -1, POLLIN, 0}, pollfd{vsock_->poll_fd(), POLLIN, 0}};
      const int timeout = vsock_->has_waiting() ? static_cast<int>(VsockEmulator::kTick.count()) : -1;
      if (::poll(items.data(), items.size(), timeout) < 0) continue;
      if ((items[2].revents & POLLIN) != 0) serve_call();
      else if (items[2].revents != 0) open = false;
      if (items[3].revents != 0) vsock_->serve();
      if (items[1].revents != 0) pass_signal();
      tick_when_due();
      if (items[0].revents != 0) return reap();
    }
  }

 private:
  void serve_call() {
    const auto call = listener_.receive();
    if (!call.ok() || !call->has_value()) return;
    const seccomp::Notification notification = call->value_or(seccomp::Notification{});
    if (notification.call == SYS_ioctl) tell_cid(notification);
    else vsock_->handle(notification);
  }

  void tell_cid(const seccomp::Notification& call) {
    const Tracee tracee(call.tid);
    const UniqueFd fd = tracee.duplicate(static_cast<int>(call.args[0]));
    struct stat given{}, device{};
    const bool ours = fd && ::fstat(fd.get(), &given) == 0 && ::stat("/dev/vsock", &device) == 0 && S_ISCHR(given.st_mode) &&
                      given.st_rdev == device.st_rdev;
    if (!ours) {
      listener_.resume(call.id);
      return;
    }
    const std::uint32_t cid = fabric::kParentCid;
    const bool written = tracee.write(call.args[2], {reinterpret_cast<const std::uint8_t*>(&cid), sizeof cid});
    written ? listener_.succeed(call.id, 0) : listener_.fail(call.id, EFAULT);
  }

  void tick_when_due() {
    const auto now = std::chrono::steady_clock::now();
    if (!vsock_->has_waiting() || now - last_tick_ < VsockEmulator::kTick) return;
    last_tick_ = now;
    vsock_->tick();
  }

  // A terminal sends SIGINT and SIGQUIT to the whole foreground group, the command included.
  void pass_signal() {
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) return;
    const auto number = static_cast<int>(signal.ssi_signo);
    const bool from_terminal = (number == SIGINT || number == SIGQUIT) && signal.ssi_code > 0;
    if (!from_terminal) ::kill(child_, number);
  }

  int reap() const {
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) continue;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  pid_t child_;
  UniqueFd ended_;
  UniqueFd signals_;
  seccomp::Listener listener_;
  std::unique_ptr<VsockEmulator> vsock_;
  std::chrono::steady_clock::time_point last_tick_{};
};

Result<Message> expect_filter(const Channel& channel) {
  Message message = TRY(channel.receive());
  if (message.kind == MessageKind::kFailed && !message.body.empty())
    return Error(static_cast<ErrorCode>(message.body[0]), std::string(as_text(ByteView(message.body).subspan(1))));
  if (message.kind != MessageKind::kFilter || message.fds.size() != 1 || message.body.size() != 1)
    return internal("command: no filter of it has come");
  return message;
}

}  // namespace

Result<int> attach(const std::vector<std::string>& command, const std::string& fabric) {
  CASEMATE_CHECK(!command.empty());
  const seccomp::Program filter = TRY(parent_filter());
  fabric::Root root = TRY(fabric::Root::open(fabric));
  UniqueFd signals = TRY(watch_signals());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error("socketpair");
  const Channel ours{UniqueFd(ends[0])};
  Channel theirs{UniqueFd(ends[1])};
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork");
  if (child == 0) become_command(command, filter, theirs);
  theirs.close();
  UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!ended) return errno_error("pidfd_open");
  auto message = expect_filter(ours);
  if (!message.ok()) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return message.error();
  }
  const auto interruptible = message->body[0] != 0 ? seccomp::Interruptible::kYes : seccomp::Interruptible::kNo;
  Attachment attachment(child, std::move(ended), std::move(signals), std::move(message->fds[0]));
  TRY(attachment.prepare(std::move(root), interruptible));
  return attachment.run();
}

}  // namespace casemate::runtime::sandbox
