// SPDX-License-Identifier: Apache-2.0
// Reading the audit log for the Activity page: pages of summaries, newest first, and single events, each request bounded
// in bytes whatever the size of the log, through the files put aside too. An event is known by its place.
#pragma once

#include <compare>
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

// Place is where a line begins, and stays so when its file is put aside: the sequence number of its file's first event
// (0 when that event has none) and an offset in the file, where more than its size is its end.
struct Place {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// to_text and parse_place: `FILE-OFFSET`, both decimal. Errors: kMalformed.
std::string to_text(const Place& place);
Result<Place> parse_place(std::string_view text);

// EventQuery: at most one of `before` and `after`; neither: from the end backward.
struct EventQuery {
  std::optional<Place> before;
  std::optional<Place> after;
  std::size_t limit = 100;
  bool denied_only = false;
  std::string text;  // contained in the line, ASCII case ignored; empty: any
};

// parse_event_query reads `before=..&after=..&limit=..&denied=true&text=..`. Errors: kMalformed naming the parameter,
// kLimit.
Result<EventQuery> parse_event_query(std::string_view query, const EventLimits& limits = {});

// summarize keeps of an event what a row of a table shows: id (its place), time, name, source, principal, key, error, requestId,
// outcome, cause. Members that the event lacks are left out.
json::Object summarize(const json::Value& event, const Place& place);

// read_events gives {"events": [summary...], "next": place, "end": bool, "newest": place}. Backward, `next` is the value for
// `before` and `end` is true at the beginning of the oldest file; forward, `next` is the value for `after` and `end` is true
// when nothing more is there yet. A page may be short of `limit`, or empty, before the end: the bound on bytes or the end of
// a file ended it. `newest` is the end of the newest file. A log that does not exist is empty. Errors: kDenied, kInternal.
Result<json::Value> read_events(const os::Path& log, const EventQuery& query, const EventLimits& limits = {});

// read_event gives the whole event at a place. Errors: kNotFound (no line begins there), kLimit.
Result<json::Value> read_event(const os::Path& log, const Place& place, const EventLimits& limits = {});

}  // namespace casemate::console
