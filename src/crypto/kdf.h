// SPDX-License-Identifier: Apache-2.0
// HKDF with SHA-256 (RFC 5869).
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace casemate::crypto {

// hkdf_sha256 derives `size` bytes (at most 255 × 32). `info` separates the uses of one key.
Secret hkdf_sha256(ByteView key, ByteView salt, std::string_view info, std::size_t size);

}  // namespace casemate::crypto
