// SPDX-License-Identifier: Apache-2.0
#include "os/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

extern char** environ;

namespace casemate::os {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Stat {
  char state;
  std::uint64_t start_ticks;
};

// Field 2 of /proc/PID/stat may hold spaces and brackets: count from the last bracket (proc(5)).
std::optional<Stat> parse_stat(std::string_view text) {
  const auto bracket = text.rfind(')');
  if (bracket == std::string_view::npos || bracket + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(bracket + 2);
  Stat result{text.front(), 0};
  for (int field = 3; field < 22; ++field) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    text.remove_prefix(space + 1);
  }
  const auto ticks = number(text.substr(0, text.find(' ')));
  if (!ticks) return std::nullopt;
  result.start_ticks = *ticks;
  return result;
}

// Runs between fork and exec: only async-signal-safe calls.
[[noreturn]] void exec_child(const SpawnOptions& options, char* const* argv, char* const* envp, int report) {
  const auto fail = [report] {
    const int number = errno;
    [[maybe_unused]] const auto written = ::write(report, &number, sizeof number);
    ::_exit(127);
  };
  if (options.new_session && ::setsid() < 0) fail();
  const int standard[3] = {options.stdin_fd, options.stdout_fd, options.stderr_fd};
  for (int target = 0; target < 3; ++target) {
    int source = standard[target];
    if (source < 0 && target == 0) {
      source = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (source < 0) fail();
    }
    if (source < 0) continue;
    if (source == target ? ::fcntl(target, F_SETFD, 0) < 0 : ::dup2(source, target) < 0) fail();
  }
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int fd : options.keep_fds) ::fcntl(fd, F_SETFD, 0);
  // Handlers first: they are code of the parent's, in memory that is still shared.
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_DFL) continue;
    if (action.sa_handler == SIG_IGN && number != SIGPIPE) continue;
    ::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(argv[0], argv, envp);
  fail();
  ::_exit(127);
}

struct CStrings {
  std::vector<std::string> owned;
  std::vector<char*> pointers;
  explicit CStrings(std::vector<std::string> texts) : owned(std::move(texts)) {
    for (auto& text : owned) pointers.push_back(text.data());
    pointers.push_back(nullptr);
  }
};

std::vector<std::string> child_environment(const std::vector<std::string>& extra) {
  std::vector<std::string> result = extra;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(extra.begin(), extra.end(), [&](const std::string& item) { return item.starts_with(name); });
    if (!replaced) result.emplace_back(text);
  }
  return result;
}

// drain_both reads two pipes until both end.
Result<void> drain_both(int out_fd, int err_fd, Output& output, std::size_t limit, std::chrono::steady_clock::time_point deadline) {
  pollfd fds[2] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};
  std::string* sinks[2] = {&output.out, &output.err};
  int open_count = 2;
  char buffer[16384];
  while (open_count > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return unavailable("no end within the time allowed");
    const int ready = ::poll(fds, 2, static_cast<int>(std::min<long long>(left, 1000)));
    if (ready < 0 && errno != EINTR) return errno_error("poll");
    for (int i = 0; ready > 0 && i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      const ssize_t count = ::read(fds[i].fd, buffer, sizeof buffer);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) {
        fds[i].fd = -1;
        --open_count;
        continue;
      }
      if (static_cast<std::size_t>(count) > limit - sinks[i]->size()) return over_limit("output longer than {} bytes", limit);
      sinks[i]->append(buffer, static_cast<std::size_t>(count));
    }
  }
  return {};
}

}  // namespace

Result<ProcessId> identify(pid_t pid) {
  if (pid <= 0) return not_found("process {}", pid);
  auto text = read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text) return not_found("process {}", pid);
  const auto stat = parse_stat(*text);
  if (!stat) return internal("process {}: /proc/{}/stat has an unknown form", pid, pid);
  if (stat->state == 'Z' || stat->state == 'X') return not_found("process {}", pid);
  return ProcessId{pid, stat->start_ticks};
}

bool alive(const ProcessId& id) {
  const auto now = identify(id.pid);
  return now.ok() && *now == id;
}

Result<void> write_pid_file(const Path& path, const ProcessId& id) {
  return write_file(path, as_bytes(fmt::format("{} {}\n", id.pid, id.start_ticks)), 0600);
}

Result<ProcessId> read_pid_file(const Path& path) {
  const std::string text = TRY(read_file(path, 64));
  const auto space = text.find(' ');
  const auto pid = number(std::string_view(text).substr(0, space));
  const auto ticks = space == std::string::npos ? std::nullopt : number(std::string_view(text).substr(space + 1, text.find('\n') - space - 1));
  if (!pid || !ticks || *pid == 0 || *pid > 0x7fffffff) return malformed("{}: want \"pid start-time\"", path.native());
  return ProcessId{static_cast<pid_t>(*pid), *ticks};
}

Result<void> end(const ProcessId& id, std::chrono::milliseconds patience) {
  const auto gone_within = [&](std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    while (alive(id)) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      ::waitpid(id.pid, nullptr, WNOHANG);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  };
  for (const auto& [signal, time] : {std::pair{SIGTERM, patience}, std::pair{SIGKILL, std::chrono::milliseconds(5000)}}) {
    if (!alive(id)) return {};
    if (::kill(id.pid, signal) != 0 && errno != ESRCH) return errno_error(fmt::format("process {}", id.pid));
    if (gone_within(time)) return {};
  }
  return internal("process {}: still running after SIGKILL", id.pid);
}

pid_t fork_for_exec(int (*child)(void* argument), void* argument) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // What they know of a stack would be of the child's.
  const pid_t copy = ::fork();
  if (copy == 0) ::_exit(child(argument));
  return copy;
#else
  constexpr std::size_t kStack = 256 * 1024;
  void* stack = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return -1;
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::clone(child, static_cast<std::uint8_t*>(stack) + kStack, CLONE_VM | CLONE_VFORK | SIGCHLD, argument);
  const int number = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::munmap(stack, kStack);
  errno = number;
  return pid;
#endif
}

Result<ProcessId> spawn(const SpawnOptions& options) {
  CASEMATE_CHECK(!options.arguments.empty());
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return errno_error("pipe");
  UniqueFd read_end(report[0]);
  UniqueFd write_end(report[1]);
  const CStrings argv(options.arguments);
  const CStrings envp(child_environment(options.extra_environment));
  struct Child {
    const SpawnOptions& options;
    char* const* argv;
    char* const* envp;
    int report;
  } child{options, argv.pointers.data(), envp.pointers.data(), write_end.get()};
  const auto run_child = [](void* argument) -> int {
    const auto* what = static_cast<const Child*>(argument);
    exec_child(what->options, what->argv, what->envp, what->report);
  };
  const pid_t pid = fork_for_exec(run_child, &child);
  if (pid < 0) return errno_error("fork");
  write_end.reset();
  auto id = identify(pid);
  int number = 0;
  const auto count = read_some(read_end.get(), {reinterpret_cast<std::uint8_t*>(&number), sizeof number});
  if (count.ok() && *count == sizeof number) {
    ::waitpid(pid, nullptr, 0);
    return errno_error(options.arguments.front(), number);
  }
  if (id.ok()) return id;
  // The child was too quick: it ran and ended before it could be looked at.
  return ProcessId{pid, 0};
}

Result<int> wait_for_exit(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return errno_error("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<Output> run(const std::vector<std::string>& arguments, std::chrono::milliseconds patience, std::size_t limit) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return errno_error("pipe");
  UniqueFd out_read(out[0]);
  UniqueFd out_write(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) return errno_error("pipe");
  UniqueFd err_read(err[0]);
  UniqueFd err_write(err[1]);
  SpawnOptions options;
  options.arguments = arguments;
  options.stdout_fd = out_write.get();
  options.stderr_fd = err_write.get();
  const ProcessId child = TRY(spawn(options));
  out_write.reset();
  err_write.reset();
  Output output;
  auto drained = drain_both(out_read.get(), err_read.get(), output, limit, std::chrono::steady_clock::now() + patience);
  if (!drained) ::kill(child.pid, SIGKILL);
  output.status = TRY(wait_for_exit(child.pid));
  TRY(std::move(drained).in(arguments.front()));
  return output;
}

Result<Path> executable_path() {
  char buffer[4096];
  const ssize_t count = ::readlink("/proc/self/exe", buffer, sizeof buffer);
  if (count < 0 || count == sizeof buffer) return errno_error("/proc/self/exe");
  return Path(std::string(buffer, static_cast<std::size_t>(count)));
}

bool lock_memory() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
  if (limit.rlim_cur != RLIM_INFINITY) {
    // Whether the limit binds us is asked by locking something under a limit of nothing.
    const rlimit nothing{0, limit.rlim_max};
    alignas(4096) static char page[4096];
    if (::setrlimit(RLIMIT_MEMLOCK, &nothing) != 0) return false;
    const bool unbound = ::mlock(page, sizeof page) == 0;
    if (unbound) ::munlock(page, sizeof page);
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || !unbound) return false;
  }
  // On fault: stacks and caches are locked as they are used, not as they are reserved.
  return ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool lock_pages(ByteView bytes) {
  return bytes.empty() || ::mlock(bytes.data(), bytes.size()) == 0;
}

void harden_process() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace casemate::os
