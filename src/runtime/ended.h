// SPDX-License-Identifier: Apache-2.0
// What is kept of enclaves that have ended, in `<run>/ended/<EnclaveID>/`: how each ended and, of those in debug mode,
// the last part of the console. The newest kKeptEnded are kept.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "os/paths.h"
#include "runtime/backend.h"
#include "runtime/console_ring.h"

namespace casemate::runtime {

inline constexpr std::size_t kKeptEnded = 32;

struct Ended {
  std::string id;
  std::string name;
  bool debug_mode = false;
  GuestExit exit;
  WallTime when{};
};

// keep_ended notes an end, in a folder of its own user's, and forgets the oldest ones. Errors: those of os/file.h.
Result<void> keep_ended(const os::Paths& paths, const Ended& ended, const ConsoleRing& console);

// find_ended looks for the enclave with this ID or, with an empty ID, the last one that had this name. Errors: kMalformed
// (a record).
Result<std::optional<Ended>> find_ended(const os::Paths& paths, std::string_view id, std::string_view name);

// read_ended_console gives what was kept of the console. Errors: kNotFound, kDenied (run in production mode).
Result<std::string> read_ended_console(const os::Paths& paths, const Ended& ended);

}  // namespace casemate::runtime
