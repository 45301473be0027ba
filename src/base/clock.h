// SPDX-License-Identifier: Apache-2.0
// The effects that main() injects: time and randomness.
#pragma once

#include <chrono>
#include <span>

#include "base/bytes.h"

namespace casemate {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  // now is UTC, in milliseconds.
  virtual WallTime now() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime now() const override;
};

// FixedClock stands still until it is moved.
class FixedClock final : public Clock {
 public:
  explicit FixedClock(WallTime time) : time_(time) {}
  WallTime now() const override { return time_; }
  void set(WallTime time) { time_ = time; }
  void advance(std::chrono::milliseconds by) { time_ += by; }

 private:
  WallTime time_;
};

class Rng {
 public:
  virtual ~Rng() = default;
  // fill writes unpredictable bytes; it cannot fail (a broken system source ends the process).
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

}  // namespace casemate
