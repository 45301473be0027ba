// SPDX-License-Identifier: Apache-2.0
// Trail: one JSON event a line, in CloudTrail's shape, each line sealed to the one before by a hash.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "audit/seal.h"
#include "base/clock.h"
#include "base/fd.h"
#include "json/value.h"
#include "os/file.h"

namespace casemate::audit {

struct TrailOptions {
  // A file that is longer than this is put aside as `audit-SEQUENCE.jsonl`, named by its first event.
  std::uint64_t file_bytes = std::uint64_t{64} * 1024 * 1024;
  // Files put aside that are kept; the oldest beyond them are deleted. 0 keeps all.
  std::size_t files = 32;
};

// Repair is what had to be done to the end of a trail after a crash. Removed bytes are kept in `audit.torn`.
struct Repair {
  std::uint64_t removed_bytes = 0;
  std::uint64_t lost_events = 0;  // that the head file knew of
};

class Trail {
 public:
  // open appends to `path` (mode 0600), going on with the chain that is there. What follows the last whole event, left
  // by a crash in the middle of writing, is moved to `audit.torn` and noted by an event of its own. Errors: kMalformed
  // (no event in the last 2 MiB is whole), kInternal.
  static Result<std::unique_ptr<Trail>> open(const os::Path& path, WallTime now, const TrailOptions& options = {});

  // append adds the last member `casemate`, which `event` does not have, and writes the line. An event with `readOnly`
  // false is on the disk when it returns (calls that wait share one fdatasync), any other is in the file. Errors: kLimit
  // (no space), kInternal: the caller must refuse the call.
  Result<void> append(const json::Object& event);

  // hold gives an event with `readOnly` true its place in the chain and keeps its line in memory; put_held writes all held
  // lines at once. For one thread that answers several calls at a time: none of the answers may leave before put_held
  // has succeeded. Errors of hold: as append's, of this event alone. Errors of put_held: any event held since the last
  // put_held may be missing, also where it was an append of another thread, which writes held lines before its own,
  // that failed.
  Result<void> hold(const json::Object& event);
  Result<void> put_held();

  // has_room_for_changes: a file beside the trail (audit.reserve) holds space for events. When the disk is full it is given
  // up, so that calls that change nothing still find room for theirs; until it can be had again this is false, and calls
  // that would change something are to be refused before they do.
  bool has_room_for_changes();

  const Repair& repair() const { return repair_; }
  const os::Path& path() const { return path_; }

 private:
  Trail(os::Path path, const TrailOptions& options) : path_(std::move(path)), options_(options) {}
  Result<void> recover();
  void place(std::string event);
  Result<void> write_placed();
  Result<void> write_lines();
  bool take_reserve();
  Result<void> rotate();
  Result<void> sync(std::uint64_t sequence, std::unique_lock<std::mutex>& lock);

  const os::Path path_;
  const TrailOptions options_;
  Repair repair_;

  std::mutex mutex_;
  std::condition_variable synced_changed_;
  std::shared_ptr<UniqueFd> file_;  // shared with a sync that is under way while the file is put aside
  UniqueFd head_;
  std::uint64_t size_ = 0;
  std::uint64_t first_sequence_ = 1;  // of this file
  Link last_;           // that was given a place
  Link written_;        // that is in the file
  std::string placed_;  // the lines between the two
  bool holds_ = false;  // whether hold made any of them
  std::optional<Error> lost_;  // why held lines are missing
  bool has_reserve_ = false;
  std::uint64_t synced_ = 0;
  bool syncing_ = false;
  // A sync failed, and the kernel may have dropped pages, or half a line could not be taken away: nothing after it can
  // be promised.
  bool broken_ = false;
};

}  // namespace casemate::audit
