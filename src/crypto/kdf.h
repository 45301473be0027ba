// SPDX-License-Identifier: Apache-2.0
// HKDF with SHA-256 (RFC 5869); scrypt (RFC 7914).
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace casemate::crypto {

// hkdf_sha256 derives `size` bytes (at most 255 × 32). `info` separates the uses of one key.
Secret hkdf_sha256(ByteView key, ByteView salt, std::string_view info, std::size_t size);

// ScryptCost: memory is 128 × n × r bytes. The default takes 64 MiB and some 200 ms.
struct ScryptCost {
  std::uint64_t n = 65'536;  // a power of two, at most 2^20
  std::uint64_t r = 8;       // at most 16
  std::uint64_t p = 1;       // at most 4
};

// scrypt makes a key of `size` bytes from a passphrase. Errors: kLimit (cost), kMalformed (n is no power of two).
Result<Secret> scrypt(ByteView passphrase, ByteView salt, const ScryptCost& cost, std::size_t size);

}  // namespace casemate::crypto
