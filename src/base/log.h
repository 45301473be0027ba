// SPDX-License-Identifier: Apache-2.0
// One line an event: `time level event key=value ...`. Used from layer 4 up; the sink is injected by main().
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace casemate {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

class Log {
 public:
  using Field = std::pair<std::string_view, std::string>;
  using Sink = std::function<void(std::string_view line)>;

  Log() = default;  // discards
  Log(const Clock& clock, LogLevel lowest, Sink sink) : clock_(&clock), lowest_(lowest), sink_(std::move(sink)) {}

  // Values are quoted when they hold anything but printable ASCII without spaces, so an event never spans lines.
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields = {}) const;
  void debug(std::string_view event, std::initializer_list<Field> fields = {}) const { write(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, std::initializer_list<Field> fields = {}) const { write(LogLevel::kInfo, event, fields); }
  void warn(std::string_view event, std::initializer_list<Field> fields = {}) const { write(LogLevel::kWarn, event, fields); }
  void error(std::string_view event, std::initializer_list<Field> fields = {}) const { write(LogLevel::kError, event, fields); }

 private:
  const Clock* clock_ = nullptr;
  LogLevel lowest_ = LogLevel::kInfo;
  Sink sink_;
};

// stderr_sink writes each line with one write(2).
Log::Sink stderr_sink();

}  // namespace casemate
