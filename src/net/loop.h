// SPDX-License-Identifier: Apache-2.0
// Loop: the one event loop of a process, on epoll: descriptors, timers, signals, and work posted from other threads.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace casemate::net {

using SteadyTime = std::chrono::steady_clock::time_point;
using Task = std::function<void()>;

// Watcher is told of what its descriptor is ready for: a set of EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP.
// Readiness is level-triggered. A watcher may be removed and destroyed from within any callback but its own; for
// that, see Loop::retire.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_ready(std::uint32_t events) = 0;
};

// Timer and FdWatch stop what they stand for when they are destroyed. Neither may outlive the loop.
class Timer;
class FdWatch;

class Loop {
 public:
  // batch is how many events are fetched at a time. With few, what becomes ready meanwhile is taken in its turn, not after
  // all that was ready before; with many, a round of short events costs fewer system calls.
  static constexpr std::size_t kBatch = 8;
  static Result<std::unique_ptr<Loop>> create(std::size_t batch = kBatch);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // run serves events until stop(). Everything but post() and stop() belongs to the thread that runs the loop.
  void run();
  void stop();
  // post runs the task on the loop's thread, after the events at hand. Safe from any thread.
  void post(Task task);

  // add, modify and remove change what is watched; the caller owns descriptor and watcher, and removes before it
  // closes.
  Result<void> add(int fd, std::uint32_t events, Watcher& watcher);
  Result<void> modify(int fd, std::uint32_t events, Watcher& watcher);
  void remove(int fd, Watcher& watcher);
  // This one closes instead, by which the kernel takes the descriptor out of the set. Only for what neither another
  // descriptor nor another process shares: the set would keep that, and the watcher's address with it.
  void remove(UniqueFd& fd, Watcher& watcher);
  // retire destroys a removed watcher once no callback can be on the stack: at the end of the round.
  void retire(std::unique_ptr<Watcher> watcher);

  // watch calls back on readiness of a descriptor that the caller owns and keeps open while the handle lives.
  Result<FdWatch> watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready);
  // after fires once; every fires at a fixed period, skipping what it missed.
  [[nodiscard]] Timer after(std::chrono::milliseconds delay, Task task);
  [[nodiscard]] Timer every(std::chrono::milliseconds period, Task task);

  // on_signals takes the signals from their default action and gives them to the callback. Call before any thread
  // starts: the signals are blocked for this thread and those it creates.
  Result<void> on_signals(std::initializer_list<int> signals, std::function<void(int)> received);

  // now is the time at which the events at hand were fetched.
  SteadyTime now() const;

 private:
  friend class Timer;
  friend class FdWatch;
  struct State;
  explicit Loop(std::unique_ptr<State> state);
  void forget(const Watcher& watcher);
  std::unique_ptr<State> state_;
};

class Timer {
 public:
  Timer() = default;
  Timer(Timer&& other) noexcept { *this = std::move(other); }
  Timer& operator=(Timer&& other) noexcept;
  ~Timer() { cancel(); }
  void cancel();

 private:
  friend class Loop;
  Timer(Loop& loop, std::uint64_t id) : loop_(&loop), id_(id) {}
  Loop* loop_ = nullptr;
  std::uint64_t id_ = 0;
};

class FdWatch {
 public:
  FdWatch() = default;
  FdWatch(FdWatch&& other) noexcept { *this = std::move(other); }
  FdWatch& operator=(FdWatch&& other) noexcept;
  ~FdWatch() { cancel(); }
  // set replaces the events of interest; 0 pauses.
  Result<void> set(std::uint32_t events);
  void cancel();

 private:
  friend class Loop;
  Loop* loop_ = nullptr;
  int fd_ = -1;
  std::unique_ptr<Watcher> watcher_;
};

}  // namespace casemate::net
