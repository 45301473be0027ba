// SPDX-License-Identifier: Apache-2.0
#include "base/time_text.h"

#include <algorithm>

namespace casemate {
namespace {

using std::chrono::milliseconds;

struct Fields {
  int year, month, day, hour, minute, second, millisecond;
};

Fields split(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{time - days};
  return {int{date.year()},
          static_cast<int>(unsigned{date.month()}),
          static_cast<int>(unsigned{date.day()}),
          static_cast<int>(clock.hours().count()),
          static_cast<int>(clock.minutes().count()),
          static_cast<int>(clock.seconds().count()),
          static_cast<int>(clock.subseconds().count())};
}

Result<WallTime> join(const Fields& f) {
  const std::chrono::year_month_day date{std::chrono::year{f.year}, std::chrono::month{static_cast<unsigned>(f.month)},
                                         std::chrono::day{static_cast<unsigned>(f.day)}};
  if (!date.ok() || f.hour > 23 || f.minute > 59 || f.second > 60) return malformed("time: no such date or hour");
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{f.hour} + std::chrono::minutes{f.minute} +
         std::chrono::seconds{f.second} + milliseconds{f.millisecond};
}

// Scanner reads fixed-width digits and literal characters; `ok` falls once and stays down.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  int digits(std::size_t count) {
    if (rest.size() < count) return fail();
    int value = 0;
    for (const char c : rest.substr(0, count)) {
      if (c < '0' || c > '9') return fail();
      value = value * 10 + (c - '0');
    }
    rest.remove_prefix(count);
    return value;
  }
  void literal(char want) {
    if (rest.empty() || rest.front() != want) {
      fail();
      return;
    }
    rest.remove_prefix(1);
  }
  int fail() {
    ok = false;
    return 0;
  }
};

}  // namespace

std::string format_rfc3339(WallTime time) {
  const Fields f = split(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

std::string format_rfc3339_millis(WallTime time) {
  const Fields f = split(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", f.year, f.month, f.day, f.hour, f.minute, f.second,
                     f.millisecond);
}

std::string format_basic(WallTime time) {
  const Fields f = split(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

Result<WallTime> parse_basic(std::string_view text) {
  Scanner scan{text};
  Fields f{};
  f.year = scan.digits(4);
  f.month = scan.digits(2);
  f.day = scan.digits(2);
  scan.literal('T');
  f.hour = scan.digits(2);
  f.minute = scan.digits(2);
  f.second = scan.digits(2);
  scan.literal('Z');
  if (!scan.ok || !scan.rest.empty()) return malformed("time: want YYYYMMDDTHHMMSSZ");
  return join(f);
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  Scanner scan{text};
  Fields f{};
  f.year = scan.digits(4);
  scan.literal('-');
  f.month = scan.digits(2);
  scan.literal('-');
  f.day = scan.digits(2);
  scan.literal('T');
  f.hour = scan.digits(2);
  scan.literal(':');
  f.minute = scan.digits(2);
  scan.literal(':');
  f.second = scan.digits(2);
  if (scan.ok && !scan.rest.empty() && scan.rest.front() == '.') {
    scan.rest.remove_prefix(1);
    std::size_t count = 0;
    while (count < scan.rest.size() && scan.rest[count] >= '0' && scan.rest[count] <= '9') ++count;
    if (count == 0 || count > 9) return malformed("time: fraction of {} digits, want 1 to 9", count);
    int scale = 100;
    for (std::size_t i = 0; i < std::min<std::size_t>(count, 3); ++i, scale /= 10) {
      f.millisecond += (scan.rest[i] - '0') * scale;
    }
    scan.rest.remove_prefix(count);
  }
  int offset_minutes = 0;
  if (scan.ok && !scan.rest.empty() && (scan.rest.front() == '+' || scan.rest.front() == '-')) {
    const int sign = scan.rest.front() == '+' ? 1 : -1;
    scan.rest.remove_prefix(1);
    const int hours = scan.digits(2);
    scan.literal(':');
    const int minutes = scan.digits(2);
    if (hours > 23 || minutes > 59) scan.fail();
    offset_minutes = sign * (hours * 60 + minutes);
  } else {
    scan.literal('Z');
  }
  if (!scan.ok || !scan.rest.empty()) return malformed("time: want YYYY-MM-DDTHH:MM:SSZ");
  return TRY(join(f)) - std::chrono::minutes{offset_minutes};
}

}  // namespace casemate
