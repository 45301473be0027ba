// SPDX-License-Identifier: Apache-2.0
// SystemRng: OpenSSL's seeded generator behind the Rng interface.
#pragma once

#include "base/clock.h"

namespace casemate::crypto {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace casemate::crypto
