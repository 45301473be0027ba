// SPDX-License-Identifier: Apache-2.0
// Hex and base64 (RFC 4648), strict on input.
#pragma once

#include "casemate/result.h"

namespace casemate {

std::string encode_hex(ByteView bytes);
Result<Bytes> decode_hex(std::string_view text);

// encode_base64 uses the standard alphabet with padding (RFC 4648, 4).
std::string encode_base64(ByteView bytes);

// decode_base64 refuses white space, missing or excess padding and non-zero trailing bits. Errors: kMalformed.
Result<Bytes> decode_base64(std::string_view text);

}  // namespace casemate
