// SPDX-License-Identifier: Apache-2.0
// /dev/nsm and /dev/vsock for a guest: their ioctls, by the rules of Linux's drivers/misc/nsm.c. Requests are answered
// one at a time on a thread of their own, as behind the device's mutex.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/bytes.h"
#include "base/fd.h"
#include "runtime/sandbox/vsock_abi.h"
#include "seccomp/notify.h"

namespace casemate::runtime::sandbox {

class DeviceEmulator {
 public:
  struct Guest {
    std::uint32_t cid = 0;
    std::uint64_t nsm_mount = 0;
    std::uint64_t vsock_mount = 0;
    seccomp::Interruptible interruptible = seccomp::Interruptible::kYes;
  };
  using Nsm = std::function<Bytes(ByteView request)>;

  DeviceEmulator(const seccomp::Listener& listener, Guest guest, Nsm nsm);
  DeviceEmulator(const DeviceEmulator&) = delete;
  DeviceEmulator& operator=(const DeviceEmulator&) = delete;
  // Waits for the request in hand; those queued are left unanswered (their callers are dead or about to be).
  ~DeviceEmulator();

  // handle answers one notified ioctl, at once or from the device's thread.
  void handle(const seccomp::Notification& call);

 private:
  // An answer that never arrived, for the same request made again: an extended PCR must not be extended twice.
  struct Undelivered {
    pid_t tid = 0;
    std::uint64_t argument = 0;
    Bytes request;
    Bytes response;
  };

  void run();
  void answer_raw(const seccomp::Notification& call);
  Errno exchange(const seccomp::Notification& call, Bytes& request, Bytes& response);

  const seccomp::Listener& listener_;
  Guest guest_;
  Nsm nsm_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<seccomp::Notification> queue_;
  bool stopping_ = false;
  std::optional<Undelivered> undelivered_;
  std::thread thread_;
};

}  // namespace casemate::runtime::sandbox
