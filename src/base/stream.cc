// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <algorithm>

namespace casemate {

Result<std::uint64_t> ByteSource::pass(std::uint64_t count) {
  std::array<std::uint8_t, 16384> unwanted;
  std::uint64_t done = 0;
  while (done < count) {
    const std::size_t step = TRY(read(std::span(unwanted).first(static_cast<std::size_t>(std::min<std::uint64_t>(unwanted.size(), count - done)))));
    if (step == 0) break;
    done += step;
  }
  return done;
}

Result<std::size_t> MemorySource::read(std::span<std::uint8_t> out) {
  const std::size_t count = std::min(out.size(), rest_.size());
  std::copy_n(rest_.begin(), count, out.begin());
  rest_ = rest_.subspan(count);
  return count;
}

}  // namespace casemate
