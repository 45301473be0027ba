// SPDX-License-Identifier: Apache-2.0
// Quotas: how many calls a second one account may make in one region, as token buckets that hold one second.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace casemate::kms::api {

// Quota: `name` is an operation, `Cryptographic` for those that share the service's quota of cryptographic operations
// (developer guide, "Request quotas"), or `*` for all calls together.
struct Quota {
  std::string name;
  double per_second = 0;
};

// parse_quota reads `Encrypt=100` or `GetParametersForImport=0.25`. Errors: kMalformed.
Result<Quota> parse_quota(std::string_view text);

class Quotas {
 public:
  explicit Quotas(std::vector<Quota> quotas) : quotas_(std::move(quotas)) {}

  // admit takes one call from every quota that counts it, or is false and takes none.
  bool admit(std::string_view account, std::string_view region, std::string_view operation, WallTime now);

 private:
  struct Bucket {
    double tokens = 0;
    WallTime filled;
  };
  const std::vector<Quota> quotas_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace casemate::kms::api
