// SPDX-License-Identifier: Apache-2.0
// AES key wrap with padding (RFC 5649), with 256-bit keys: how RSA_AES_KEY_WRAP carries what RSA alone is too short
// for.
#pragma once

#include "base/secret.h"

namespace casemate::crypto {

// wrap_key_padded takes 1 to 8192 bytes; `key` has 32.
Bytes wrap_key_padded(ByteView key, const Secret& content);

// unwrap_key_padded gives what wrap made. Errors: kUntrusted, whatever the reason.
Result<Secret> unwrap_key_padded(ByteView key, ByteView wrapped);

}  // namespace casemate::crypto
