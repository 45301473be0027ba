// SPDX-License-Identifier: Apache-2.0
// Documents as people hand them over.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/bytes.h"

namespace casemate::attestation {

// decode_document_text accepts a document as it is, in hexadecimal or in base64 (either alphabet, with or without
// padding), with white space around and inside. Errors: kMalformed.
Result<Bytes> decode_document_text(std::string_view input);

}  // namespace casemate::attestation
