// SPDX-License-Identifier: Apache-2.0
// AuditLog: one JSON event a line, in CloudTrail's shape, each line sealed to the one before by a hash.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "json/value.h"
#include "os/file.h"

namespace casemate::kms::api {

class AuditLog {
 public:
  // open appends to `path` (mode 0600), going on with the chain that is there. A last line that was cut short, by a
  // crash in the middle of writing it, is removed: no answer was given for it. Errors: kMalformed (the last line is no
  // event).
  static Result<std::unique_ptr<AuditLog>> open(const os::Path& path);

  // append adds `casemate.previous` and `casemate.hash` and writes the line. The event is in the file, though not yet
  // synced to the disk, when it returns. Errors: kLimit (no space), kInternal: the caller must refuse the call.
  Result<void> append(json::Object event);

  // verify_chain checks every line of a log. Errors: kMalformed, kUntrusted (naming the line).
  static Result<std::size_t> verify_chain(std::string_view text);

 private:
  AuditLog(UniqueFd file, std::string last_hash) : file_(std::move(file)), last_hash_(std::move(last_hash)) {}

  std::mutex mutex_;
  UniqueFd file_;
  std::string last_hash_;
};

}  // namespace casemate::kms::api
