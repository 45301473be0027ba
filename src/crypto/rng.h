// SPDX-License-Identifier: Apache-2.0
// SystemRng: OpenSSL's seeded generator behind the Rng interface.
#pragma once

#include <array>
#include <mutex>

#include "base/clock.h"

namespace casemate::crypto {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// BufferedRng draws from another generator many bytes at a time, which it then holds: for what is published
// (identifiers, salts, nonces), never for keys. May be used by several threads if `source` may.
class BufferedRng final : public Rng {
 public:
  explicit BufferedRng(Rng& source) : source_(source) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  Rng& source_;
  std::mutex mutex_;
  std::array<std::uint8_t, 1024> buffer_{};
  std::size_t left_ = 0;
};

}  // namespace casemate::crypto
