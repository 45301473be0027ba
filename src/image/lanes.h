// SPDX-License-Identifier: Apache-2.0
// Hashing on threads of their own while the caller reads and writes.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "eif/measure.h"

namespace casemate::image {

// ThreadLanes gives each lane a thread. At most kQueued jobs wait in a lane, which bounds memory at twice that many
// pieces.
class ThreadLanes final : public eif::Lanes {
 public:
  ThreadLanes();
  ~ThreadLanes() override;

  void post(unsigned lane, std::function<void()> job) override;
  void wait() override;

 private:
  static constexpr std::size_t kQueued = 8;
  struct Lane {
    std::mutex mutex;
    std::condition_variable work;  // a job came, or the end
    std::condition_variable room;  // half the queue is free, or every job is done
    std::deque<std::function<void()>> jobs;
    bool busy = false;
    bool stop = false;
    std::thread thread;
  };

  static void run(Lane& lane);

  std::array<Lane, kCount> lanes_;
};

}  // namespace casemate::image
