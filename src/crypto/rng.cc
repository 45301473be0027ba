// SPDX-License-Identifier: Apache-2.0
#include "crypto/rng.h"

#include <openssl/rand.h>

#include <algorithm>
#include <limits>

namespace casemate::crypto {

void SystemRng::fill(std::span<std::uint8_t> out) {
  CASEMATE_CHECK(out.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  CASEMATE_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

void BufferedRng::fill(std::span<std::uint8_t> out) {
  if (out.size() > buffer_.size()) return source_.fill(out);
  const std::lock_guard lock(mutex_);
  if (left_ < out.size()) {
    source_.fill(buffer_);
    left_ = buffer_.size();
  }
  left_ -= out.size();
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(left_), out.size(), out.begin());
}

}  // namespace casemate::crypto
