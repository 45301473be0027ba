// SPDX-License-Identifier: Apache-2.0
// Metrics of the service: calls by operation and outcome, and how long they took. Counting takes no lock.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "kms/api/call.h"

namespace casemate::kms::api {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  enum class Result { kOk, kRefused, kFailed };  // 2xx, 4xx, 5xx
  void count(const Operation& operation, Result result, std::chrono::nanoseconds duration);
  void count_unauthenticated() { unauthenticated_.fetch_add(1, std::memory_order_relaxed); }
  void count_throttled() { throttled_.fetch_add(1, std::memory_order_relaxed); }

  // text is the exposition format of Prometheus, version 0.0.4. Operations that were never called are left out.
  std::string text() const;

 private:
  struct Row;
  std::unique_ptr<Row[]> rows_;  // in the order of all_operations()
  std::atomic<std::uint64_t> unauthenticated_{0};
  std::atomic<std::uint64_t> throttled_{0};
};

}  // namespace casemate::kms::api
