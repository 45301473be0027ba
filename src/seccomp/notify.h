// SPDX-License-Identifier: Apache-2.0
// User notification (seccomp_unotify(2)): the filter's listener, one call at a time.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "seccomp/program.h"

namespace casemate::seccomp {

// Notification: a system call that waits for our answer. `args` are values; what they point to is the caller's memory,
// which its other threads may change at any time.
struct Notification {
  std::uint64_t id = 0;
  pid_t tid = 0;  // as this process sees it
  int call = 0;
  std::array<std::uint64_t, 6> args{};
};

// kGone: the call was interrupted or its caller died before the answer; the answer had no effect.
enum class Delivery { kDelivered, kGone };

class Listener {
 public:
  // Takes what install gave. Where the kernel can (6.6), a caller and its answer share a processor, which spares the
  // wake-up of another.
  explicit Listener(UniqueFd fd);

  int fd() const { return fd_.get(); }

  // receive waits for the next call and takes it; nothing when it went away meanwhile or a signal came. Errors:
  // kUnavailable when no task is left that could make one (known to a waiting receive from Linux 6.11 on).
  Result<std::optional<Notification>> receive();

  // is_valid tells whether the call still waits: what was read from /proc/TID or the caller's memory before a `true` was
  // read from the caller and not from a later process with its number.
  bool is_valid(std::uint64_t id) const;

  // The answers. resume lets the kernel run the call as it was made; safe only where our decision looked at nothing that
  // the caller can change.
  Delivery succeed(std::uint64_t id, std::int64_t value) const;
  Delivery fail(std::uint64_t id, int errno_number) const;
  Delivery resume(std::uint64_t id) const;
  enum class CloseOnExec { kNo, kYes };
  // install_fd gives the caller a duplicate of `fd` and returns its number from the call, in one step. An error is an
  // errno to fail the call with (EMFILE).
  struct Installed {
    Delivery delivery = Delivery::kDelivered;
    int errno_number = 0;
  };
  Installed install_fd(std::uint64_t id, int fd, CloseOnExec close_on_exec) const;

 private:
  Delivery answer(std::uint64_t id, std::int64_t value, int error, std::uint32_t flags) const;
  UniqueFd fd_;
};

// Interruptible says whether a call that the supervisor has received may still be interrupted by a signal that does not
// kill (Linux before 5.19), or waits for its answer (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).
enum class Interruptible { kNo, kYes };
struct Installed {
  UniqueFd listener;
  Interruptible interruptible = Interruptible::kYes;
};

// install puts the filter on this thread and its later children; no_new_privs must be set. The caller must be
// single-threaded. Calls are not interruptible where the kernel can do that and `want` is kNo. Errors: kUnsupported,
// kInternal.
Result<Installed> install(const Program& program, Interruptible want = Interruptible::kNo);

}  // namespace casemate::seccomp
