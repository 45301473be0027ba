// SPDX-License-Identifier: Apache-2.0
// Files: bounded reads, writes that are whole or absent, locks. Errors name the path.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/secret.h"
#include "base/stream.h"

namespace casemate::os {

using Path = std::filesystem::path;

// open opens with O_CLOEXEC and retries EINTR; `flags` and `mode` as open(2). Errors: kNotFound, kDenied, kInternal.
Result<UniqueFd> open(const Path& path, int flags, unsigned mode = 0);

// read_file reads at most `limit` bytes. Errors: kNotFound, kDenied, kLimit (longer than the limit), kInternal.
Result<std::string> read_file(const Path& path, std::size_t limit);

// read_secret_file does the same for key material; a file that others may read or write is refused with kDenied.
Result<Secret> read_secret_file(const Path& path, std::size_t limit);

// write_file puts `data` in place at once: a temporary file in the same folder, fsync, rename, fsync of the folder.
// What was there stays on failure. Errors: kDenied, kLimit (no space), kInternal.
Result<void> write_file(const Path& path, ByteView data, unsigned mode);

// create_file is write_file that refuses to replace: kConflict when `path` exists.
Result<void> create_file(const Path& path, ByteView data, unsigned mode);

// make_private_directories creates `path` and its missing parents with mode 0700. An existing last folder must belong
// to this user and be closed to others' writes, else kDenied.
Result<void> make_private_directories(const Path& path);

// list gives the names in a folder, sorted, without . and ..; a missing folder is an empty list.
Result<std::vector<std::string>> list(const Path& directory);

// remove deletes a file; a missing one is no error.
Result<void> remove(const Path& path);

// write_all writes everything to a descriptor, retrying EINTR and short writes.
Result<void> write_all(int fd, ByteView data);

// read_some reads once, retrying EINTR; 0 is the end.
Result<std::size_t> read_some(int fd, std::span<std::uint8_t> out);

// FileLock holds flock(2) exclusively on a file that is created when missing; released on destruction.
class FileLock {
 public:
  // Errors: kUnavailable when another process still holds it after `patience`.
  static Result<FileLock> acquire(const Path& path, std::chrono::milliseconds patience);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// FdSource reads a descriptor from an offset on, at most `size` bytes, with pread: several may share one file.
class FdSource final : public ByteSource {
 public:
  FdSource(int fd, std::uint64_t offset, std::uint64_t size) : fd_(fd), offset_(offset), left_(size) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override;
  // Within `size`, whether or not the file is as long.
  Result<std::uint64_t> pass(std::uint64_t count) override;

 private:
  int fd_;
  std::uint64_t offset_;
  std::uint64_t left_;
};

// FdSink appends to a descriptor.
class FdSink final : public ByteSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}
  Result<void> write(ByteView data) override { return write_all(fd_, data); }

 private:
  int fd_;
};

}  // namespace casemate::os
