// SPDX-License-Identifier: Apache-2.0
#include "image/lanes.h"

#include <utility>

namespace casemate::image {

ThreadLanes::ThreadLanes() {
  for (Lane& lane : lanes_) lane.thread = std::thread([&lane] { run(lane); });
}

ThreadLanes::~ThreadLanes() {
  for (Lane& lane : lanes_) {
    const std::lock_guard lock(lane.mutex);
    lane.stop = true;
    lane.work.notify_all();
  }
  for (Lane& lane : lanes_) lane.thread.join();
}

void ThreadLanes::run(Lane& lane) {
  std::unique_lock lock(lane.mutex);
  for (;;) {
    lane.work.wait(lock, [&lane] { return lane.stop || !lane.jobs.empty(); });
    if (lane.jobs.empty()) return;
    {
      const std::function<void()> job = std::move(lane.jobs.front());
      lane.jobs.pop_front();
      lane.busy = true;
      // A full queue is refilled by half at a time: waking the poster for each job costs more than some jobs.
      const bool half_free = lane.jobs.size() == kQueued / 2;
      lock.unlock();
      if (half_free) lane.room.notify_all();
      job();
    }
    lock.lock();
    lane.busy = false;
    if (lane.jobs.empty()) lane.room.notify_all();
  }
}

void ThreadLanes::post(unsigned number, std::function<void()> job) {
  Lane& lane = lanes_[number % kCount];
  std::unique_lock lock(lane.mutex);
  if (lane.jobs.size() == kQueued) lane.room.wait(lock, [&lane] { return lane.jobs.size() <= kQueued / 2; });
  lane.jobs.push_back(std::move(job));
  lock.unlock();
  lane.work.notify_one();
}

void ThreadLanes::wait() {
  for (Lane& lane : lanes_) {
    std::unique_lock lock(lane.mutex);
    lane.room.wait(lock, [&lane] { return lane.jobs.empty() && !lane.busy; });
  }
}

}  // namespace casemate::image
