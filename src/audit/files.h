// SPDX-License-Identifier: Apache-2.0
// The files of a trail as a whole: `audit.jsonl`, those put aside, the head; verification and search over all of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/seal.h"
#include "json/value.h"
#include "os/file.h"

namespace casemate::audit {

os::Path head_path(const os::Path& current);  // audit.head: the last event that was written
os::Path torn_path(const os::Path& current);  // audit.torn: what repairs removed
os::Path rotated_path(const os::Path& current, std::uint64_t first_sequence);

// rotated_files gives the files put aside, oldest first.
Result<std::vector<os::Path>> rotated_files(const os::Path& current);

// last_of_rotated is the end of the newest file put aside, or the chain's beginning.
Result<Link> last_of_rotated(const os::Path& current);

// Verified is what verify_files found to be whole.
struct Verified {
  std::uint64_t events = 0;
  std::uint64_t first_sequence = 0;  // more than 1 when the oldest files were deleted
  Link last;
  std::size_t files = 0;
};

// verify_files checks every line of every file, that each follows the one before, and that none is missing in front of
// the head. Errors: kMalformed, kUntrusted naming file and line; kNotFound.
Result<Verified> verify_files(const os::Path& current);

// EventQuery picks one event: a request's, or the newest.
struct EventQuery {
  std::string request_id;    // empty: the newest
  bool denied_only = false;  // of those that a decision refused
  std::string access_key_id = {};  // empty: of anyone
};

// decision_of is the event's trace, or null when no decision was made or kept.
const json::Value* decision_of(const json::Value& event);

// find_event searches one log from its end; lines that are no JSON are passed over (a torn tail is no reason to keep the
// others from an administrator). Errors: kNotFound.
Result<json::Value> find_event(std::string_view log, const EventQuery& query);

// find_event_in searches the files of a trail, newest first.
Result<json::Value> find_event_in(const os::Path& current, const EventQuery& query);

}  // namespace casemate::audit
