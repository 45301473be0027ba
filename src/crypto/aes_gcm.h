// SPDX-License-Identifier: Apache-2.0
// AES-256-GCM with associated data (NIST SP 800-38D): 96-bit nonces, 128-bit tags.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

namespace casemate::crypto {

inline constexpr std::size_t kAes256KeySize = 32;
inline constexpr std::size_t kGcmNonceSize = 12;
inline constexpr std::size_t kGcmTagSize = 16;

// seal_aes_256_gcm gives the ciphertext followed by its tag. `key` and `nonce` have the sizes above (anything else is a
// bug of the caller, who also never uses a nonce twice with one key).
Bytes seal_aes_256_gcm(ByteView key, ByteView nonce, ByteView associated_data, ByteView plaintext);

// open_aes_256_gcm gives the plaintext of what seal made. Errors: kUntrusted, whatever the reason.
Result<Secret> open_aes_256_gcm(ByteView key, ByteView nonce, ByteView associated_data, ByteView sealed);

}  // namespace casemate::crypto
