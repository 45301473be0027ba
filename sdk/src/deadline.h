// SPDX-License-Identifier: Apache-2.0
// Deadline: one point on the steady clock that a whole operation shares, whatever steps it takes.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/result.h"

namespace casemate::sdk {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Deadline(std::chrono::milliseconds from_now) : at_(Clock::now() + from_now) {}

  std::chrono::milliseconds left() const {
    return std::max(std::chrono::milliseconds{0}, std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()));
  }
  bool passed() const { return left().count() == 0; }

 private:
  Clock::time_point at_;
};

// wait_for blocks until poll(2) reports any of `events` on `fd`. Errors: kUnavailable (time is up), kInternal.
Result<void> wait_for(int fd, short events, const Deadline& deadline);

}  // namespace casemate::sdk
