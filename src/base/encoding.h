// SPDX-License-Identifier: Apache-2.0
// Hex and base64 (RFC 4648), strict on input.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace casemate {

// encode_hex gives lower-case digits.
std::string encode_hex(ByteView bytes);

// decode_hex accepts either case, even length, nothing else. Errors: kMalformed with the offset.
Result<Bytes> decode_hex(std::string_view text);

// encode_base64 uses the standard alphabet with padding (RFC 4648, 4).
std::string encode_base64(ByteView bytes);

// decode_base64 refuses white space, missing or excess padding and non-zero trailing bits. Errors: kMalformed.
Result<Bytes> decode_base64(std::string_view text);

}  // namespace casemate
