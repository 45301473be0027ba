// SPDX-License-Identifier: Apache-2.0
#include "image/lanes.h"

#include <sched.h>

#include <utility>

namespace casemate::image {

namespace {

// start_apart moves this thread to the `number`-th other processor of those that we may use, and leaves it to the scheduler
// from there. Where processors share no cache the scheduler would keep all threads on the starter's for tens of
// milliseconds: a small image would be over before.
void start_apart(int starter, unsigned number) {
  cpu_set_t allowed;
  if (starter < 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const auto count = static_cast<unsigned>(CPU_COUNT(&allowed));
  if (count < 2 || !CPU_ISSET(starter, &allowed)) return;
  int cpu = starter;
  for (unsigned left = (number + 1) % count; left > 0; --left) {
    do cpu = (cpu + 1) % CPU_SETSIZE;
    while (!CPU_ISSET(cpu, &allowed));
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (::sched_setaffinity(0, sizeof one, &one) == 0) ::sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace

ThreadLanes::ThreadLanes() {
  const int starter = ::sched_getcpu();
  for (unsigned i = 0; i < kCount; ++i) {
    lanes_[i].thread = std::thread([&lane = lanes_[i], starter, i] {
      start_apart(starter, i);
      run(lane);
    });
  }
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
