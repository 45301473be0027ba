// SPDX-License-Identifier: Apache-2.0
// cpio "newc" archives (Linux Documentation/driver-api/early-userspace/buffer-format.rst): the ramdisks of an EIF.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/stream.h"

namespace casemate::cpio {

// File types in Entry::mode, as in stat(2).
inline constexpr std::uint32_t kTypeMask = 0170000;
inline constexpr std::uint32_t kFifo = 0010000;
inline constexpr std::uint32_t kCharacterDevice = 0020000;
inline constexpr std::uint32_t kDirectory = 0040000;
inline constexpr std::uint32_t kBlockDevice = 0060000;
inline constexpr std::uint32_t kRegular = 0100000;
inline constexpr std::uint32_t kSymlink = 0120000;

// Entry is one header. The data that follows is the file's content, or a symbolic link's target. Names are as the
// archive holds them: relative or not, with or without a trailing slash; whoever unpacks them must not trust them.
struct Entry {
  std::string name;
  std::uint32_t mode = 0;  // type and permissions
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;  // seconds since 1970
  std::uint32_t nlink = 1;
  std::uint32_t ino = 0;
  std::uint64_t size = 0;
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
  std::uint32_t rdev_major = 0;
  std::uint32_t rdev_minor = 0;

  std::uint32_t type() const { return mode & kTypeMask; }
  bool operator==(const Entry&) const = default;
};

struct Limits {
  std::size_t name_bytes = 4096;  // PATH_MAX, terminating NUL included: the kernel skips longer ones
  std::uint64_t entries = 4'000'000;
};

// Reader walks an archive front to back. As in the kernel, archives may follow one another, with zero bytes between
// them, each starting at a multiple of four. Unlike the kernel it refuses what the kernel skips silently: bad hex, an
// empty or overlong name, and an archive without its trailer.
class Reader {
 public:
  explicit Reader(ByteSource& source, const Limits& limits = {}) : source_(source), limits_(limits) {}

  // next passes over what is left of the current entry and reads the next header; nothing at the end of the input.
  // Trailers are not reported. Errors: kMalformed (with the offset), kUnsupported (compressed, old formats), kLimit.
  Result<std::optional<Entry>> next();

  // read_data fills the front of `out` with the current entry's data; 0 at its end (or when `out` is empty).
  Result<std::size_t> read_data(std::span<std::uint8_t> out);

  // remaining is how much of the current entry's data has not been read.
  std::uint64_t remaining() const { return remaining_; }
  // offset of the next byte in the source.
  std::uint64_t offset() const { return offset_; }

 private:
  Result<std::size_t> read_some(std::span<std::uint8_t> out);
  Result<void> read_exactly(std::span<std::uint8_t> out, std::string_view what);
  Result<void> skip(std::uint64_t count);
  Result<bool> find_header(std::uint8_t& first);

  ByteSource& source_;
  Limits limits_;
  std::uint64_t offset_ = 0;
  std::uint64_t remaining_ = 0;
  std::uint64_t entries_ = 0;
  bool in_archive_ = false;
};

// Writer emits what linuxkit's initrd writer does, byte for byte: inodes counted from 721, device 3:1, two links for a
// directory and one for anything else, lower-case hex, the end padded to 512 bytes.
class Writer {
 public:
  explicit Writer(ByteSink& sink) : sink_(sink) {}

  // begin writes a header; exactly entry.size bytes of write() must follow before the next call. Of the entry, ino,
  // nlink, dev_major and dev_minor are the writer's own. Errors: kLimit (4 GiB, the format's bound), kMalformed (name).
  Result<void> begin(const Entry& entry);
  Result<void> write(ByteView data);
  // add is begin and write of the whole data; entry.size is set to its size.
  Result<void> add(Entry entry, ByteView data = {});
  // finish writes the trailer and the padding.
  Result<void> finish();

  std::uint64_t offset() const { return offset_; }

 private:
  Result<void> put(ByteView data);
  Result<void> pad(std::size_t alignment);
  Result<void> put_header(const Entry& entry, std::uint32_t nlink);

  ByteSink& sink_;
  std::uint64_t offset_ = 0;
  std::uint64_t remaining_ = 0;
  std::uint32_t next_ino_ = 721;
};

}  // namespace casemate::cpio
