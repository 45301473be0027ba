// SPDX-License-Identifier: Apache-2.0
// Image files measured before, so that a start need not hash half a gigabyte again: `<home>/cache/images/` holds one small
// record for each file, found by device and inode and good only while size, mtime and ctime are what they were. Whoever
// writes to a file changes its ctime, and only the clock of the machine could set it back.
#pragma once

#include <optional>

#include "eif/reader.h"
#include "os/file.h"
#include "runtime/file_identity.h"

namespace casemate::runtime {

struct ImageRecord {
  BootId boot{};
  FileIdentity file;
  eif::Measured measured;

  bool operator==(const ImageRecord&) const = default;
};
Bytes encode_image_record(const ImageRecord& record);
// parse_image_record reads the whole of `input`. Errors: kMalformed, kUnsupported (version).
Result<ImageRecord> parse_image_record(ByteView input);

class MeasuredImages {
 public:
  // Records beyond this number go, the oldest first.
  static constexpr std::size_t kMostRecords = 256;

  explicit MeasuredImages(os::Path folder) : folder_(std::move(folder)) {}
  // find gives what is known of a file; nothing for an odd or foreign record.
  std::optional<eif::Measured> find(const FileIdentity& file) const;
  // keep notes what was measured. Failing is no error: the file will be measured again.
  void keep(const FileIdentity& file, const eif::Measured& measured) const;

 private:
  os::Path path_of(const FileIdentity& file) const;
  void drop_oldest() const;

  os::Path folder_;
};

}  // namespace casemate::runtime
