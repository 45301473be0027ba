// SPDX-License-Identifier: Apache-2.0
// What is kept beside an unpacked root: what it must look like to be used again, and what init needs of its ramdisks.
#pragma once

#include "crypto/digest.h"
#include "runtime/file_identity.h"
#include "runtime/sandbox/boot.h"

namespace casemate::runtime::sandbox {

// RootKey names a root: what was measured of the image, how its ramdisks lie, and who owns the tree.
using RootKey = crypto::Sha256;

struct RootRecord {
  BootId boot{};
  RootKey key{};
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // that the tree takes on its file system
  crypto::Sha256 tree{};    // TreeSummary::digest
  ListFiles lists;

  bool operator==(const RootRecord&) const = default;
};

inline constexpr std::size_t kMaxRootRecordBytes = 2 * kMaxListBytes + 4096;

Bytes encode_root_record(const RootRecord& record);
// parse_root_record reads the whole of `input`. Errors: kMalformed, kUnsupported (version).
Result<RootRecord> parse_root_record(ByteView input);

}  // namespace casemate::runtime::sandbox
