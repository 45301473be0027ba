// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <algorithm>

namespace casemate {

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

Result<ByteView> ByteReader::read(std::size_t count) {
  if (count > rest_.size()) return malformed("offset {}: {} bytes wanted, {} left", offset(), count, rest_.size());
  const ByteView field = rest_.first(count);
  rest_ = rest_.subspan(count);
  return field;
}

}  // namespace casemate
