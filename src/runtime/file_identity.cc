// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_identity.h"

#include <algorithm>
#include <iterator>

#include "base/encoding.h"
#include "os/file.h"

namespace casemate::runtime {
namespace {

// A tick of the kernel's coarse clock is at most 10 ms.
constexpr std::int64_t kTickNs = 50'000'000;
// FAT keeps even seconds.
constexpr std::int64_t kCoarseNs = 3'000'000'000;

}  // namespace

FileIdentity identity_of(const struct stat& status) {
  return {status.st_dev,
          status.st_ino,
          static_cast<std::uint64_t>(status.st_size),
          status.st_mtim.tv_sec,
          static_cast<std::uint32_t>(status.st_mtim.tv_nsec),
          status.st_ctim.tv_sec,
          static_cast<std::uint32_t>(status.st_ctim.tv_nsec)};
}

bool is_settled(const FileIdentity& identity, const timespec& now) {
  const std::int64_t wanted = identity.ctime_ns == 0 && identity.mtime_ns == 0 ? kCoarseNs : kTickNs;
  if (now.tv_sec - identity.ctime_s > 60) return true;
  return (now.tv_sec - identity.ctime_s) * 1'000'000'000 + now.tv_nsec - identity.ctime_ns > wanted;
}

Result<BootId> boot_id() {
  const std::string text = TRY(os::read_file("/proc/sys/kernel/random/boot_id", 64));
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return c != '-' && c != '\n'; });
  const Bytes bytes = TRY(decode_hex(digits).in("boot_id"));
  BootId id{};
  if (bytes.size() != id.size()) return malformed("boot_id: {} bytes, want {}", bytes.size(), id.size());
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

}  // namespace casemate::runtime
