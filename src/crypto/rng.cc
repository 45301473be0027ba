// SPDX-License-Identifier: Apache-2.0
#include "crypto/rng.h"

#include <openssl/rand.h>

#include <limits>

namespace casemate::crypto {

void SystemRng::fill(std::span<std::uint8_t> out) {
  CASEMATE_CHECK(out.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  CASEMATE_CHECK(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

}  // namespace casemate::crypto
