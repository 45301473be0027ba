// SPDX-License-Identifier: Apache-2.0
// For formats that hold a signature or a tag: inputs are edits of a genuine message, three bytes each (position,
// value), since no mutation of bytes would ever come past the check.
#pragma once

#include "base/bytes.h"

namespace casemate::fuzz {

inline Bytes apply_edits(Bytes message, ByteView edits) {
  for (std::size_t i = 0; i + 3 <= edits.size() && !message.empty(); i += 3) {
    const std::size_t position = (std::size_t{edits[i]} << 8 | edits[i + 1]) % (message.size() + 1);
    if (position == message.size()) {
      message.resize(edits[i + 2]);
    } else {
      message[position] = edits[i + 2];
    }
  }
  return message;
}

}  // namespace casemate::fuzz
