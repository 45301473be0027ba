// SPDX-License-Identifier: Apache-2.0
// CRC-32/ISO-HDLC (the one of gzip and of the EIF header).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace casemate::eif {

// crc32 continues `crc`, the checksum of what came before (0 at the start).
std::uint32_t crc32(std::uint32_t crc, ByteView data);

}  // namespace casemate::eif
