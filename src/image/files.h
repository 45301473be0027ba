// SPDX-License-Identifier: Apache-2.0
// Files and folders of this machine as oci::Blob and oci::Files; files without a name for what must be stored.
#pragma once

#include <memory>

#include "base/fd.h"
#include "oci/files.h"
#include "os/file.h"

namespace casemate::image {

// What is read or copied at a time.
inline constexpr std::size_t kCopyBytes = 256 * 1024;

// open_blob opens a regular file. Errors: kNotFound, kDenied, kMalformed (not a regular file).
Result<std::unique_ptr<oci::Blob>> open_blob(const os::Path& path);

// open_directory gives the files below a folder. Paths come from image descriptions, so `..` and absolute ones are
// refused.
Result<std::unique_ptr<oci::Files>> open_directory(const os::Path& directory);

// spool stores what is left of `source` in a file without a name in $TMPDIR (default /var/tmp), gone when closed, even by
// SIGKILL. Errors: kLimit (more than `limit` bytes, or no space).
Result<std::unique_ptr<oci::Blob>> spool(ByteSource& source, std::uint64_t limit);

// TemporaryDirectory is removed with everything in it.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> create();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const os::Path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(os::Path path) : path_(std::move(path)) {}
  os::Path path_;
};

// OutputFile is a file that appears under its name when it is whole, replacing what was there, or not at all.
class OutputFile final : public ByteSink {
 public:
  // Errors: kNotFound or kDenied (folder), kMalformed (something other than a regular file has the name).
  static Result<std::unique_ptr<OutputFile>> create(const os::Path& path);
  ~OutputFile() override;

  Result<void> write(ByteView data) override;
  // write_at overwrites bytes that are written already.
  Result<void> write_at(std::uint64_t offset, ByteView data);
  // commit puts the file in place. It does not wait for the disk: an image says itself (checksum) whether it is whole.
  Result<void> commit();

 private:
  OutputFile(os::Path path, UniqueFd fd, os::Path temporary)
      : path_(std::move(path)), fd_(std::move(fd)), temporary_(std::move(temporary)) {}

  os::Path path_;
  UniqueFd fd_;
  os::Path temporary_;  // empty while the file has no name
};

}  // namespace casemate::image
