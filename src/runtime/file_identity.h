// SPDX-License-Identifier: Apache-2.0
// Which file, in which state of its content, during which boot of the machine.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include <array>
#include <cstdint>

#include "base/result.h"

namespace casemate::runtime {

// FileIdentity tells a file, and each state of its content, from any other, during one boot of the machine.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_s = 0;
  std::uint32_t mtime_ns = 0;
  std::int64_t ctime_s = 0;
  std::uint32_t ctime_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};
FileIdentity identity_of(const struct stat& status);

// is_settled is false while a write could still leave the ctime as it is: it is as old as the clock's tick at `now`
// (seconds and nanoseconds since 1970), or as a second where the file system keeps no nanoseconds.
bool is_settled(const FileIdentity& identity, const timespec& now);

using BootId = std::array<std::uint8_t, 16>;
// boot_id tells this boot of the machine from any other. Errors: kNotFound and others of reading /proc.
Result<BootId> boot_id();

}  // namespace casemate::runtime
