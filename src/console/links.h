// SPDX-License-Identifier: Apache-2.0
// Links: one-time tokens that sign a browser in. Kept as hashes, in memory, for a short time, and given once.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "crypto/digest.h"

namespace casemate::console {

struct LinkLimits {
  std::chrono::seconds lifetime{120};
  std::size_t open = 16;  // a further one makes the oldest invalid
};

class Links {
 public:
  explicit Links(LinkLimits limits = {}) : limits_(limits) {}

  // make gives a token of 43 characters (256 random bits, base64url) for the user who asked.
  std::string make(std::string_view user, WallTime now, Rng& rng);

  // redeem gives the user and makes the token invalid. Errors: kDenied, the same for unknown, used and expired.
  Result<std::string> redeem(std::string_view token, WallTime now);

 private:
  struct Link {
    crypto::Sha256 hash;
    std::string user;
    WallTime expires;
  };
  const LinkLimits limits_;
  std::mutex mutex_;
  std::deque<Link> links_;
};

}  // namespace casemate::console
