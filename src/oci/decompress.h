// SPDX-License-Identifier: Apache-2.0
// gzip and zstd streams as the plain bytes in them.
#pragma once

#include <memory>

#include "oci/files.h"

namespace casemate::oci {

enum class Compression : std::uint8_t { kNone, kGzip, kZstd };

// detect looks at the first bytes of a file. Errors: kUnsupported (bzip2, xz), naming what was found.
Result<Compression> detect_compression(const Blob& blob);

// open_plain starts reading what `blob` holds after decompression. The stream ends with kLimit after `limit` bytes of
// output and with kMalformed where the compressed data is damaged or cut short.
Result<std::unique_ptr<Stream>> open_plain(const Blob& blob, Compression compression, std::uint64_t limit);

}  // namespace casemate::oci
