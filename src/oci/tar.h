// SPDX-License-Identifier: Apache-2.0
// tar as image layers use it: ustar and pax (POSIX.1-2008), GNU long names, old GNU and pax sparse files. A reader that
// says where each entry's data lies, so that content can be fetched later without unpacking.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "oci/files.h"

namespace casemate::oci {

enum class FileType : std::uint8_t { kRegular, kDirectory, kSymlink, kHardLink, kCharacterDevice, kBlockDevice, kFifo };

// Segment: `length` bytes of a file from `file_offset` on, found in the stream at `stream_offset`. What no segment of a
// sparse file covers reads as zeros.
struct Segment {
  std::uint64_t file_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t stream_offset = 0;
  bool operator==(const Segment&) const = default;
};

struct TarEntry {
  std::string path;  // as stored; a directory's may or may not end in '/'
  FileType type = FileType::kRegular;
  std::uint32_t mode = 0;  // permissions, setuid, setgid, sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime = 0;  // seconds, rounded down
  std::uint64_t size = 0;  // of the file, holes included
  std::uint32_t rdev_major = 0;
  std::uint32_t rdev_minor = 0;
  std::string link;               // target of a symbolic or hard link
  std::vector<Segment> segments;  // of a regular file, ascending; one segment when not sparse, none when empty
};

struct TarLimits {
  std::size_t extension_bytes = 1024 * 1024;  // one pax or GNU long-name record set
  std::size_t path_bytes = 16 * 1024;         // before any rule of the destination applies
  std::size_t segments = 100'000;             // of one sparse file
};

class TarReader {
 public:
  explicit TarReader(Stream& stream, const TarLimits& limits = {}) : stream_(stream), limits_(limits) {}

  // next passes over the current entry's data and reads the next header; nothing at the end-of-archive mark or where
  // the input ends between entries. Errors: kMalformed (with the offset), kUnsupported (type), kLimit.
  Result<std::optional<TarEntry>> next();

 private:
  using Records = std::vector<std::pair<std::string, std::string>>;
  struct Extensions {
    std::optional<std::string> path;
    std::optional<std::string> link;
    Records pax;
  };

  Result<std::size_t> fill(std::span<std::uint8_t> out);
  Result<void> read_block(std::span<std::uint8_t> block);
  Result<void> skip(std::uint64_t count);
  Result<std::string> read_extension(std::uint64_t size);
  Result<TarEntry> parse_entry(ByteView header, Extensions& extensions);
  Result<void> read_old_gnu_map(ByteView header, TarEntry& entry);
  Result<void> read_pax_1_0_map(TarEntry& entry);
  Result<void> place_segments(TarEntry& entry);

  Stream& stream_;
  TarLimits limits_;
  std::uint64_t offset_ = 0;
  std::uint64_t data_left_ = 0;  // stored bytes of the current entry, padding not included
  bool ended_ = false;
};

}  // namespace casemate::oci
