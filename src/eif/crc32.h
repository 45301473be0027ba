// SPDX-License-Identifier: Apache-2.0
// CRC-32/ISO-HDLC (the one of gzip and of the EIF header).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace casemate::eif {

// crc32 continues `crc`, the checksum of what came before (0 at the start).
std::uint32_t crc32(std::uint32_t crc, ByteView data);

// combine is the checksum of two strings in a row, given theirs and the second's length.
std::uint32_t combine_crc32(std::uint32_t first, std::uint32_t second, std::uint64_t second_bytes);

}  // namespace casemate::eif
