// SPDX-License-Identifier: Apache-2.0
// /dev/nsm and /dev/vsock for a guest: their ioctls, by the rules of Linux's drivers/misc/nsm.c. Requests are answered
// one at a time on a thread of their own, as behind the device's mutex.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
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
    std::chrono::milliseconds delay{0};  // of every request
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
  // A thread's last answer, for the same request made again because a signal took the call back: a PCR must not be
  // extended twice. The kernel may also drop an answer that it said it delivered; a restarted call is then known by the
  // response length that we wrote into its argument, in place of the room that a program gives.
  struct Answered {
    pid_t tid = 0;
    std::uint64_t argument = 0;
    Bytes request;
    Bytes response;
    std::uint64_t length_given = 0;
    std::uint64_t length_left = 0;  // what the argument holds after our answer
    seccomp::Delivery delivery = seccomp::Delivery::kGone;
  };

  void run();
  void answer_raw(const seccomp::Notification& call);
  Errno exchange(const seccomp::Notification& call, Answered& answer);
  Bytes take_answer(const Answered& repeated);

  const seccomp::Listener& listener_;
  Guest guest_;
  Nsm nsm_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<seccomp::Notification> queue_;
  bool stopping_ = false;
  std::deque<Answered> answered_;
  std::thread thread_;
};

}  // namespace casemate::runtime::sandbox
