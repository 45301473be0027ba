// SPDX-License-Identifier: Apache-2.0
// Reading the audit log for the Activity page: pages of summaries, newest first, and single events, each request bounded
// in bytes whatever the size of the log. An event is known by the offset of its line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json/value.h"
#include "os/file.h"

namespace casemate::console {

struct EventLimits {
  std::size_t page = 1000;                      // events in one answer
  std::size_t scanned_bytes = 8 * 1024 * 1024;  // of the log, for one answer
  std::size_t line_bytes = 1024 * 1024;
};

// EventQuery: at most one of `before` and `after`, both offsets of lines; neither: from the end backward.
struct EventQuery {
  std::optional<std::uint64_t> before;
  std::optional<std::uint64_t> after;
  std::size_t limit = 100;
  bool denied_only = false;
  std::string text;  // contained in the line, ASCII case ignored; empty: any
};

// parse_event_query reads `before=..&after=..&limit=..&denied=true&text=..`. Errors: kMalformed naming the parameter,
// kLimit.
Result<EventQuery> parse_event_query(std::string_view query, const EventLimits& limits = {});

// summarize keeps of an event what a row of a table shows: offset, time, name, source, principal, key, error, requestId,
// outcome, cause. Members that the event lacks are left out.
json::Object summarize(const json::Value& event, std::uint64_t offset);

// read_events gives {"events": [summary...], "next": offset, "end": bool, "size": bytes}. Backward, `next` is the value for
// `before` and `end` is true at the beginning of the log; forward, `next` is the value for `after` and `end` is true when
// nothing more is there yet. A page may be short of `limit`, or empty, before the end: the bound on bytes ended it. A log
// that does not exist is empty. Errors: kDenied, kInternal.
Result<json::Value> read_events(const os::Path& log, const EventQuery& query, const EventLimits& limits = {});

// read_event gives the whole event at an offset. Errors: kNotFound (no line begins there), kLimit.
Result<json::Value> read_event(const os::Path& log, std::uint64_t offset, const EventLimits& limits = {});

}  // namespace casemate::console
