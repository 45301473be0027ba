// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace casemate::net {
namespace {

class CallbackWatcher final : public Watcher {
 public:
  explicit CallbackWatcher(std::function<void(std::uint32_t)> ready) : ready_(std::move(ready)) {}
  void on_ready(std::uint32_t events) override { ready_(events); }

 private:
  std::function<void(std::uint32_t)> ready_;
};

}  // namespace

struct Loop::State {
  struct Scheduled {
    SteadyTime due;
    std::chrono::milliseconds period{0};
    std::shared_ptr<Task> task;  // shared with the call in progress, which may cancel the timer
  };

  UniqueFd epoll;
  UniqueFd wake;
  UniqueFd signals;
  std::unique_ptr<Watcher> wake_watcher;
  std::unique_ptr<Watcher> signal_watcher;

  std::vector<epoll_event> batch;
  int batch_size = 0;
  int batch_next = 0;
  std::vector<std::unique_ptr<Watcher>> retired;
  SteadyTime now = std::chrono::steady_clock::now();

  std::uint64_t next_timer = 1;
  std::unordered_map<std::uint64_t, Scheduled> timers;
  std::multimap<SteadyTime, std::uint64_t> due;

  std::mutex mutex;  // guards posted, the one thing that other threads touch
  std::vector<Task> posted;
  std::atomic<bool> any_posted{false};  // so that a round without posted work takes no lock
  std::atomic<bool> stopping{false};
  std::atomic<std::thread::id> runner;  // the thread in run()

  int timeout_ms() {
    if (any_posted.load(std::memory_order_acquire)) return 0;
    if (due.empty()) return -1;
    // The clock is read again only where it matters.
    auto left = due.begin()->first - now;
    if (left < std::chrono::milliseconds(20)) left = due.begin()->first - std::chrono::steady_clock::now();
    if (left <= SteadyTime::duration::zero()) return 0;
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::min<std::int64_t>(whole, 60'000));
  }

  void unschedule(std::uint64_t id, SteadyTime at) {
    const auto [first, last] = due.equal_range(at);
    const auto it = std::find_if(first, last, [&](const auto& entry) { return entry.second == id; });
    if (it != last) due.erase(it);
  }

  void fire_timers() {
    if (due.empty() || due.begin()->first > now) return;
    // Only what is due when the round begins: a timer that re-arms itself at zero must not starve descriptors.
    std::vector<std::uint64_t> ready;
    for (auto it = due.begin(); it != due.end() && it->first <= now; ++it) ready.push_back(it->second);
    for (const std::uint64_t id : ready) {
      const auto it = timers.find(id);
      if (it == timers.end()) continue;
      const auto task = it->second.task;
      unschedule(id, it->second.due);
      if (it->second.period.count() > 0) {
        const auto missed = (now - it->second.due) / it->second.period;
        it->second.due += it->second.period * (missed + 1);
        due.emplace(it->second.due, id);
      } else {
        timers.erase(it);
      }
      (*task)();
    }
  }

  void run_posted() {
    if (!any_posted.load(std::memory_order_acquire)) return;
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex);
      tasks.swap(posted);
      any_posted.store(false, std::memory_order_release);
    }
    for (Task& task : tasks) {
      task();
      task = nullptr;
    }
  }

  std::uint64_t schedule(std::chrono::milliseconds delay, std::chrono::milliseconds period, Task task) {
    const std::uint64_t id = next_timer++;
    const SteadyTime at = std::chrono::steady_clock::now() + delay;
    timers.emplace(id, Scheduled{at, period, std::make_shared<Task>(std::move(task))});
    due.emplace(at, id);
    return id;
  }
};

Loop::Loop(std::unique_ptr<State> state) : state_(std::move(state)) {}

Loop::~Loop() {
  // What was posted but not run may own handles of this loop: it goes while the loop can still be told.
  state_->posted.clear();
  state_->timers.clear();
  state_->retired.clear();
}

Result<std::unique_ptr<Loop>> Loop::create(std::size_t batch) {
  auto state = std::make_unique<State>();
  state->batch.resize(batch);
  state->epoll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->epoll) return errno_error("epoll_create1");
  state->wake = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->wake) return errno_error("eventfd");
  const int wake = state->wake.get();
  state->wake_watcher = std::make_unique<CallbackWatcher>([wake](std::uint32_t) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake, &count, sizeof count);
  });
  auto loop = std::unique_ptr<Loop>(new Loop(std::move(state)));
  TRY(loop->add(wake, EPOLLIN, *loop->state_->wake_watcher));
  return loop;
}

void Loop::run() {
  State& state = *state_;
  state.runner = std::this_thread::get_id();
  state.now = std::chrono::steady_clock::now();
  while (!state.stopping.load(std::memory_order_acquire)) {
    const int count = ::epoll_wait(state.epoll.get(), state.batch.data(), static_cast<int>(state.batch.size()), state.timeout_ms());
    state.now = std::chrono::steady_clock::now();
    state.batch_size = std::max(count, 0);
    for (state.batch_next = 0; state.batch_next < state.batch_size;) {
      const epoll_event& event = state.batch[static_cast<std::size_t>(state.batch_next++)];
      if (event.data.ptr != nullptr) static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
    }
    state.batch_size = 0;
    state.fire_timers();
    state.run_posted();
    state.retired.clear();
  }
  state.stopping.store(false, std::memory_order_release);
  state.runner = std::thread::id();
}

void Loop::stop() {
  state_->stopping.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(state_->wake.get(), &one, sizeof one);
}

void Loop::post(Task task) {
  bool first = false;
  {
    const std::lock_guard lock(state_->mutex);
    first = state_->posted.empty();
    state_->posted.push_back(std::move(task));
    state_->any_posted.store(true, std::memory_order_release);
  }
  // The loop's own thread looks at what is posted before it sleeps.
  if (!first || state_->runner.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(state_->wake.get(), &one, sizeof one);
}

Result<void> Loop::add(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl add");
  return {};
}

Result<void> Loop::modify(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_MOD, fd, &event) != 0) return errno_error("epoll_ctl modify");
  return {};
}

void Loop::remove(int fd, Watcher& watcher) {
  ::epoll_ctl(state_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
  forget(watcher);
}

void Loop::remove(UniqueFd& fd, Watcher& watcher) {
  fd.reset();
  forget(watcher);
}

void Loop::forget(const Watcher& watcher) {
  for (int i = state_->batch_next; i < state_->batch_size; ++i) {
    auto& event = state_->batch[static_cast<std::size_t>(i)];
    if (event.data.ptr == &watcher) event.data.ptr = nullptr;
  }
}

void Loop::retire(std::unique_ptr<Watcher> watcher) {
  state_->retired.push_back(std::move(watcher));
}

Result<FdWatch> Loop::watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> ready) {
  FdWatch handle;
  handle.watcher_ = std::make_unique<CallbackWatcher>(std::move(ready));
  TRY(add(fd, events, *handle.watcher_));
  handle.loop_ = this;
  handle.fd_ = fd;
  return handle;
}

Timer Loop::after(std::chrono::milliseconds delay, Task task) {
  return {*this, state_->schedule(delay, std::chrono::milliseconds(0), std::move(task))};
}

Timer Loop::every(std::chrono::milliseconds period, Task task) {
  return {*this, state_->schedule(period, std::max(period, std::chrono::milliseconds(1)), std::move(task))};
}

Result<void> Loop::on_signals(std::initializer_list<int> signals, std::function<void(int)> received) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (const int failure = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); failure != 0)
    return errno_error("pthread_sigmask", failure);
  if (state_->signal_watcher) remove(state_->signals.get(), *state_->signal_watcher);
  state_->signals = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!state_->signals) return errno_error("signalfd");
  const int fd = state_->signals.get();
  state_->signal_watcher = std::make_unique<CallbackWatcher>([fd, received = std::move(received)](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      received(static_cast<int>(info.ssi_signo));
  });
  return add(fd, EPOLLIN, *state_->signal_watcher);
}

SteadyTime Loop::now() const {
  return state_->now;
}

Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    cancel();
    loop_ = std::exchange(other.loop_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Timer::cancel() {
  if (loop_ == nullptr) return;
  auto& state = *std::exchange(loop_, nullptr)->state_;
  const auto it = state.timers.find(id_);
  if (it == state.timers.end()) return;
  state.unschedule(id_, it->second.due);
  // The task may own this very handle: let it go last.
  const auto task = std::move(it->second.task);
  state.timers.erase(it);
}

FdWatch& FdWatch::operator=(FdWatch&& other) noexcept {
  if (this != &other) {
    cancel();
    loop_ = std::exchange(other.loop_, nullptr);
    fd_ = std::exchange(other.fd_, -1);
    watcher_ = std::move(other.watcher_);
  }
  return *this;
}

Result<void> FdWatch::set(std::uint32_t events) {
  if (loop_ == nullptr) return internal("watch: no descriptor");
  return loop_->modify(fd_, events, *watcher_);
}

void FdWatch::cancel() {
  if (loop_ == nullptr) return;
  Loop* const loop = std::exchange(loop_, nullptr);
  loop->remove(fd_, *watcher_);
  // Cancelled from within its own callback, the function must outlive the call.
  loop->retire(std::move(watcher_));
}

}  // namespace casemate::net
