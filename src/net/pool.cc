// SPDX-License-Identifier: Apache-2.0
#include "net/pool.h"

#include <pthread.h>

namespace casemate::net {

Pool::Pool(std::string name, unsigned threads, std::size_t queue_limit) : queue_limit_(queue_limit) {
  name.resize(std::min<std::size_t>(name.size(), 12));
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    const std::string label = name + "/" + std::to_string(i % 100);
    ::pthread_setname_np(threads_.back().native_handle(), label.c_str());
  }
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Pool::submit(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || queue_.size() >= queue_limit_) return false;
    queue_.push_back(std::move(task));
  }
  ready_.notify_one();
  return true;
}

void Pool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace casemate::net
