// SPDX-License-Identifier: Apache-2.0
// Pool: named threads for work that blocks (name look-ups, databases, key generation), with a bounded queue.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace casemate::net {

class Pool {
 public:
  // The name (at most 12 bytes are kept) shows in /proc and debuggers.
  Pool(std::string name, unsigned threads, std::size_t queue_limit = 4096);
  // The destructor runs what is queued, then joins.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // submit is false when the queue is full: the caller answers "busy" instead of growing without bound.
  [[nodiscard]] bool submit(std::function<void()> task);

 private:
  void work();

  const std::size_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace casemate::net
