// SPDX-License-Identifier: Apache-2.0
// Processes: starting them, knowing them again despite pid reuse, ending them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "os/file.h"

namespace casemate::os {

// ProcessId tells a process from a later one with the same pid by its start time (clock ticks since boot, proc(5)).
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
  bool operator==(const ProcessId&) const = default;
};

// identify reads a live process's identity; kNotFound when there is none (a zombie counts as none).
Result<ProcessId> identify(pid_t pid);

// alive is true while exactly that process runs.
bool alive(const ProcessId& id);

// Pid files hold `pid start_ticks\n`.
Result<void> write_pid_file(const Path& path, const ProcessId& id);
Result<ProcessId> read_pid_file(const Path& path);

// end sends SIGTERM, waits up to `patience`, then SIGKILL, and returns once the process is gone. A process that is
// already gone is no error. Errors: kDenied, kInternal (still there after SIGKILL).
Result<void> end(const ProcessId& id, std::chrono::milliseconds patience);

// fork_for_exec starts a process that runs `child`, which must end in exec or _exit. Until then it shares this process's
// memory and the calling thread waits: no page is copied, however large the process. All signals are blocked in it, and
// `child` must unblock them, having reset their handlers. -1 and errno where there is none. `child` may not change memory
// that this process uses.
pid_t fork_for_exec(int (*child)(void* argument), void* argument);

struct SpawnOptions {
  std::vector<std::string> arguments;  // [0] is the program's path
  std::vector<std::string> extra_environment;  // NAME=value, replacing inherited ones
  bool new_session = false;            // setsid, for daemons
  int stdin_fd = -1;                   // -1: /dev/null
  int stdout_fd = -1;                  // -1: inherited
  int stderr_fd = -1;                  // -1: inherited
  std::vector<int> keep_fds;           // these keep their numbers in the child; all others above 2 are closed
};

// spawn starts a program; a failing exec is reported here. Errors: kNotFound, kDenied, kInternal.
Result<ProcessId> spawn(const SpawnOptions& options);

// wait_for_exit reaps a child: its exit status, or 128 + signal.
Result<int> wait_for_exit(pid_t pid);

struct Output {
  int status = 0;
  std::string out;
  std::string err;
};
// run starts a program, waits for it and keeps at most `limit` bytes of each stream. Errors: as spawn, kLimit,
// kUnavailable when it takes longer than `patience` (it is killed then).
Result<Output> run(const std::vector<std::string>& arguments, std::chrono::milliseconds patience, std::size_t limit = 1024 * 1024);

// executable_path is the running program's own file.
Result<Path> executable_path();

// harden makes this process undumpable without core files and ignores SIGPIPE.
void harden_process();

// lock_memory keeps all memory of this process, present and future, out of swap, where no limit could then stand in the
// way of more: with CAP_IPC_LOCK or without a limit of locked memory. It gives whether it did; without, all goes on.
bool lock_memory();

// lock_pages keeps the pages that hold `bytes` out of swap until the process ends, within the limit.
bool lock_pages(ByteView bytes);

}  // namespace casemate::os
