// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <algorithm>

namespace casemate {

Result<std::size_t> MemorySource::read(std::span<std::uint8_t> out) {
  const std::size_t count = std::min(out.size(), rest_.size());
  std::copy_n(rest_.begin(), count, out.begin());
  rest_ = rest_.subspan(count);
  return count;
}

}  // namespace casemate
