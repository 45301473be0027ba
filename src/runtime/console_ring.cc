// SPDX-License-Identifier: Apache-2.0
#include "runtime/console_ring.h"

#include <algorithm>

namespace casemate::runtime {

void ConsoleRing::write(ByteView data) {
  if (data.size() > capacity_) {
    end_ += data.size() - capacity_;
    kept_ = 0;
    data = data.last(capacity_);
    data_.resize(capacity_);
  }
  while (!data.empty()) {
    const auto at = static_cast<std::size_t>(end_ % capacity_);
    const std::size_t count = std::min(data.size(), capacity_ - at);
    if (data_.size() < at + count) data_.resize(at + count);
    std::copy_n(data.begin(), count, data_.begin() + static_cast<std::ptrdiff_t>(at));
    end_ += count;
    kept_ = std::min(kept_ + count, capacity_);
    data = data.subspan(count);
  }
}

ByteView ConsoleRing::read(std::uint64_t position) const {
  position = std::max(position, begin());
  if (position >= end_) return {};
  const auto at = static_cast<std::size_t>(position % capacity_);
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(end_ - position, capacity_ - at));
  return ByteView(data_).subspan(at, count);
}

}  // namespace casemate::runtime
