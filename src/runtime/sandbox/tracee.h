// SPDX-License-Identifier: Apache-2.0
// Tracee: the thread behind a notification. Its memory and descriptor table are hostile: each value is copied once and
// only the copy is looked at. What is read counts only if the notification is still valid afterwards.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/fd.h"

namespace casemate::runtime::sandbox {

class Tracee {
 public:
  explicit Tracee(pid_t tid) : tid_(tid) {}

  // Both move all bytes or fail, as copy_from_user and copy_to_user.
  bool read(std::uint64_t address, std::span<std::uint8_t> out) const;
  bool write(std::uint64_t address, ByteView data) const;
  // write_both writes a value and its size as one call of ours.
  bool write_both(std::uint64_t address, ByteView data, std::uint64_t size_address, ByteView size) const;

  // open_process gives a pidfd of the thread, or of its process before Linux 6.9 (`exact` is false then, but for the thread
  // that the process is named after). None: errno says why.
  UniqueFd open_process(bool* exact = nullptr) const;

  // duplicate gives our own descriptor of the tracee's open file: what is done to it is done to the tracee's, through
  // every duplicate in every process of the guest. None: errno says why, EBADF where the tracee has no such file.
  UniqueFd duplicate(int fd) const;

  // has_capability reads the effective set, in the guest's user namespace.
  bool has_capability(int capability) const;
  // catches_signals tells whether its process has a handler for any signal (the C library's own two aside).
  bool catches_signals() const;
  // has_signal_to_handle tells whether a signal waits that is neither blocked nor ignored.
  bool has_signal_to_handle() const;

 private:
  std::optional<std::uint64_t> status_field(const char* name) const;
  pid_t tid_;
};

// LastTracee is Tracee::duplicate for many calls in a row: it keeps the handle of the thread that made the last one.
class LastTracee {
 public:
  UniqueFd duplicate(pid_t tid, int fd);

  // is_confirmed tells whether the last duplicate came from a thread that is known to be the guest's: its handle is that of a
  // thread that had this number when a notification of the number was valid, and it lives, so the number is still its own. Else
  // ask whether the notification is valid, and tell confirm.
  bool is_confirmed() const { return confirmed_; }
  void confirm() { confirmed_ = exact_; }

 private:
  pid_t tid_ = 0;
  UniqueFd process_;
  bool exact_ = false;  // the handle is the thread's, not only its process's
  bool confirmed_ = false;
};

}  // namespace casemate::runtime::sandbox
