// SPDX-License-Identifier: Apache-2.0
// The program that becomes a guest's keeper and, forked from it, pid 1 of the guest. It is static, embedded in the
// supervisor and executed from memory, so that nothing of the supervisor's memory (its keys) is ever in a guest process.
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "runtime/sandbox/init/steps.h"
#include "seccomp/notify.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace casemate::runtime::sandbox {
namespace {

// Sockets handed over at once: an emulated socket() costs a round trip to the keeper every so many calls.
constexpr std::size_t kSocketBatch = 64;

Bytes number_body(std::uint32_t value) {
  Bytes body;
  append_be<4>(body, value);
  return body;
}

void report(const Channel& channel, const Error& error) {
  Bytes body{static_cast<std::uint8_t>(error.code())};
  append(body, as_bytes(std::string_view(error.message()).substr(0, 1024)));
  (void)channel.send(MessageKind::kFailed, body).ok();
}

Result<Message> expect(const Channel& channel, MessageKind kind) {
  Message message = TRY(channel.receive());
  if (message.kind != kind) return internal("boot channel: message {}, want {}", static_cast<int>(message.kind), static_cast<int>(kind));
  return message;
}

Result<BootSpec> read_spec() {
  struct stat status{};
  if (::fstat(kBootSpec, &status) != 0) return errno_error("boot spec");
  Bytes data(static_cast<std::size_t>(status.st_size));
  if (::pread(kBootSpec, data.data(), data.size(), 0) != status.st_size) return internal("boot spec: short read");
  return parse_boot_spec(data);
}

Result<void> unshare_or_explain(int flags, const char* what) {
  if (::unshare(flags) == 0) return {};
  const int number = errno;
  if (number == EPERM || number == ENOSPC || number == EINVAL || number == ENOSYS || number == EUSERS)
    return unsupported("{} namespace: {}", what, errno_error("unshare", number).message());
  return errno_error(what, number);
}

// become_root takes the ids of the guest's root, once they are mapped.
Result<void> become_root(const BootSpec& spec) {
  // With one id mapped the kernel has denied setgroups, and what supplementary groups there are map to nobody.
  if (spec.many_ids && ::setgroups(0, nullptr) != 0) return errno_error("setgroups");
  if (::setresgid(0, 0, 0) != 0) return errno_error("setresgid");
  if (::setresuid(0, 0, 0) != 0) return errno_error("setresuid");
  return {};
}

// A change of credentials clears it, so it is set again after each.
Result<void> die_with_parent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return errno_error("PR_SET_PDEATHSIG");
  return {};
}

Result<std::uint64_t> network_cookie() {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("socket");
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return unsupported("SO_NETNS_COOKIE: this kernel lacks it, want Linux 5.14");
  return cookie;
}

Result<void> redirect_stdio() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return errno_error("/dev/null");
  if (::dup2(null.get(), 0) < 0 || ::dup2(kConsole, 1) < 0 || ::dup2(kConsole, 2) < 0) return errno_error("stdio");
  ::close(kConsole);
  return {};
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_application(const Command& command, int failure_pipe) {
  reset_signals();
  ::setsid();
  std::vector<char*> arguments;
  for (const auto& item : command.arguments) arguments.push_back(const_cast<char*>(item.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (const auto& item : command.environment) environment.push_back(const_cast<char*>(item.c_str()));
  environment.push_back(nullptr);
  // Nitro's init looks the command up in this PATH and gives the application the image's own.
  ::clearenv();
  ::setenv("PATH", "/sbin:/usr/sbin:/bin:/usr/bin", 1);
  ::execvpe(arguments[0], arguments.data(), environment.data());
  const int number = errno;
  (void)!::write(failure_pipe, &number, sizeof number);
  ::_exit(127);
}

// start_application returns once the application has been executed.
Result<pid_t> start_application(const Command& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork of the application");
  if (child == 0) run_application(command, writer.get());
  writer.reset();
  int number = 0;
  ssize_t count = 0;
  while ((count = ::read(reader.get(), &number, sizeof number)) < 0 && errno == EINTR) continue;
  if (count > 0) return not_found("application: cannot execute {}: {}", command.arguments[0], errno_error("execve", number).message());
  return child;
}

std::uint32_t reap_until(pid_t application) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == application) return static_cast<std::uint32_t>(status);
    if (ended < 0 && errno != EINTR) return 0;
  }
}

Result<void> boot(const BootSpec& spec, const Channel& channel, UniqueFd tree) {
  const Console console(kConsole);
  TRY(die_with_parent());
  TRY(unshare_or_explain(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET, "guest"));
  if (::sethostname(spec.hostname.data(), spec.hostname.size()) != 0) return errno_error("sethostname");
  if (::setdomainname("(none)", 6) != 0) return errno_error("setdomainname");
  const Devices devices = TRY(enter_initramfs(spec, std::move(tree)));
  console.say("mounted initramfs, /dev/nsm present");
  const bool cached = mount_tree(spec);
  const Command command = TRY(parse_lists(cached ? spec.tree->lists : TRY(unpack_root(spec, kImageFile))));
  ::close(kImageFile);

  while (spec.hang) ::pause();
  TRY(channel.send(MessageKind::kHeartbeat, Bytes{kHeartbeatByte}));
  TRY(expect(channel, MessageKind::kHeartbeat));
  console.say("heartbeat 0xb7 exchanged with vsock 3:9000");

  TRY(enter_root(spec));
  console.say("mounted /proc /sys /dev /run /tmp, root is /rootfs");
  TRY(add_trust_anchors(spec.trust_anchors_pem));
  console.say(fmt::format("executing {}", command.arguments[0]));
  TRY(redirect_stdio());
  if (::prctl(PR_SET_NAME, "init", 0, 0, 0) != 0) return errno_error("PR_SET_NAME");
  TRY(confine(spec));

  seccomp::Program filter(spec.filter.size() / sizeof(sock_filter));
  std::memcpy(filter.data(), spec.filter.data(), filter.size() * sizeof(sock_filter));
  Bytes body;
  {
    const std::uint64_t cookie = TRY(network_cookie());
    auto installed = TRY(seccomp::install(filter, spec.interruptible ? seccomp::Interruptible::kYes : seccomp::Interruptible::kNo));
    append_be<1>(body, installed.interruptible == seccomp::Interruptible::kYes ? 1 : 0);
    append_be<1>(body, cached ? 1 : 0);
    append_be<8>(body, cookie);
    append_be<8>(body, devices.nsm_mount);
    append_be<8>(body, devices.vsock_mount);
    TRY(channel.send(MessageKind::kFilter, body, {installed.listener.get()}));
  }
  TRY(expect(channel, MessageKind::kGo));
  const pid_t application = TRY(start_application(command));
  TRY(channel.send(MessageKind::kStarted));
  return channel.send(MessageKind::kAppEnded, number_body(reap_until(application)));
}

[[noreturn]] void run_init(const BootSpec& spec, UniqueFd tree) {
  const Channel channel{UniqueFd(kGuestChannel)};
  // pid 1 of the guest ignores what it has no handler for; only its keeper's namespace can kill it.
  if (const auto done = boot(spec, channel, std::move(tree)); !done.ok()) {
    report(channel, done.error());
    ::_exit(1);
  }
  ::_exit(0);
}

Result<void> supply_sockets(const Channel& channel, int type) {
  std::vector<UniqueFd> sockets;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < kSocketBatch; ++i) {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!socket) break;
    numbers.push_back(socket.get());
    sockets.push_back(std::move(socket));
  }
  TRY(channel.send(MessageKind::kSockets, {}, numbers));
  // A copy of ours would keep a socket, and the address that the guest gives it, alive after the guest closed it.
  sockets.clear();
  return channel.send(MessageKind::kReleased);
}

// keep serves the supervisor until init ends. A supervisor that goes away takes both with it.
Result<std::uint32_t> keep(const Channel& channel, pid_t init) {
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, init, 0)));
  if (!ended) return errno_error("pidfd_open");
  for (;;) {
    pollfd events[2] = {{channel.fd(), POLLIN, 0}, {ended.get(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) return errno_error("poll");
    if (events[1].revents != 0) {
      int status = 0;
      if (::waitpid(init, &status, 0) == init) return static_cast<std::uint32_t>(status);
    }
    if (events[0].revents != 0) {
      const auto message = channel.receive();
      if (!message.ok()) {
        ::kill(init, SIGKILL);
        return message.error();
      }
      if (message->kind == MessageKind::kWantSockets && message->body.size() == 1)
        TRY(supply_sockets(channel, message->body[0] == 0 ? SOCK_STREAM : SOCK_SEQPACKET));
    }
  }
}

// start_clocks puts init into a time namespace whose monotonic clocks start now: a guest's machine has just booted. Older
// kernels have none, and the guest then sees the host's uptime.
void start_clocks() {
  if (::unshare(CLONE_NEWTIME) != 0) return;
  std::string offsets;
  for (const auto& [clock, name] : {std::pair{CLOCK_MONOTONIC, "monotonic"}, std::pair{CLOCK_BOOTTIME, "boottime"}}) {
    timespec now{};
    if (::clock_gettime(clock, &now) != 0) return;
    offsets += fmt::format("{} {} 0\n", name, -now.tv_sec);
  }
  const UniqueFd file(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
  if (file) (void)!::write(file.get(), offsets.data(), offsets.size());
}

// fill_root unpacks the ramdisks for later guests. What they hold reaches nothing but the folder.
Result<void> fill_root(const BootSpec& spec) {
  TRY(unshare_or_explain(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET, "filler's"));
  TRY(confine_filler(kFilledRoot));
  Bytes lists;
  append_lists(lists, TRY(unpack(spec, kImageFile, kFilledRoot)));
  for (std::size_t done = 0; done < lists.size();) {
    const ssize_t count = ::write(kFilledLists, lists.data() + done, lists.size() - done);
    if (count < 0 && errno != EINTR) return errno_error("lists");
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> run_keeper(const Channel& channel) {
  TRY(die_with_parent());
  TRY(unshare_or_explain(CLONE_NEWUSER, "user"));
  TRY(channel.send(MessageKind::kMapIds));
  Message go = TRY(expect(channel, MessageKind::kGo));
  const BootSpec spec = TRY(read_spec());
  ::close(kBootSpec);
  // Before the change of ids, after which the files in /proc/self are no longer this process's own.
  if (!spec.fill) start_clocks();
  TRY(become_root(spec));
  TRY(die_with_parent());
  if (static_cast<std::uint32_t>(::getppid()) != spec.supervisor) return unavailable("supervisor: gone");
  if (spec.fill) {
    TRY(fill_root(spec));
    return channel.send(MessageKind::kFilled);
  }
  TRY(unshare_or_explain(CLONE_NEWPID | CLONE_NEWNET, "pid and network"));

  const pid_t init = ::fork();
  if (init < 0) return errno_error("fork of init");
  if (init == 0) {
    ::close(kKeeperChannel);
    run_init(spec, go.fds.empty() ? UniqueFd() : std::move(go.fds[0]));
  }
  go.fds.clear();
  for (const int fd : {kGuestChannel, kImageFile, kConsole}) ::close(fd);
  ::prctl(PR_SET_NAME, "casemate-keeper", 0, 0, 0);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (const auto sent = channel.send(MessageKind::kInitStarted, number_body(static_cast<std::uint32_t>(init))); !sent.ok()) {
    ::kill(init, SIGKILL);
    return sent.error();
  }
  const std::uint32_t status = TRY(keep(channel, init));
  return channel.send(MessageKind::kInitEnded, number_body(status));
}

}  // namespace
}  // namespace casemate::runtime::sandbox

int main() {
  using namespace casemate::runtime::sandbox;
  for (int fd = kKeeperChannel; fd < kFirstForeignFd; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  const Channel channel{casemate::UniqueFd(kKeeperChannel)};
  const auto done = run_keeper(channel);
  if (!done.ok()) report(channel, done.error());
  return done.ok() ? 0 : 1;
}
