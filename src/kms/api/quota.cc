// SPDX-License-Identifier: Apache-2.0
#include "kms/api/quota.h"

#include <algorithm>
#include <charconv>

#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

constexpr std::string_view kShared = "Cryptographic";
constexpr std::string_view kAll = "*";
constexpr std::string_view kCryptographic[] = {"Decrypt",     "Encrypt",           "GenerateDataKey",
                                               "GenerateMac", "GenerateRandom",    "GenerateDataKeyWithoutPlaintext",
                                               "ReEncrypt",   "VerifyMac",         "Sign",
                                               "Verify",      "DeriveSharedSecret"};

bool counts(const Quota& quota, std::string_view operation) {
  if (quota.name == kAll || quota.name == operation) return true;
  return quota.name == kShared &&
         std::find(std::begin(kCryptographic), std::end(kCryptographic), operation) != std::end(kCryptographic);
}

}  // namespace

Result<Quota> parse_quota(std::string_view text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string_view::npos) return malformed("{}: want NAME=PER_SECOND", text);
  Quota quota;
  quota.name = text.substr(0, equals);
  if (quota.name != kAll && quota.name != kShared && find_operation(quota.name) == nullptr)
    return malformed("{}: no operation, nor Cryptographic, nor *", quota.name);
  const std::string_view number = text.substr(equals + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), quota.per_second);
  if (error != std::errc{} || end != number.data() + number.size() || !(quota.per_second > 0) || quota.per_second > 1e9)
    return malformed("{}: want a number of calls a second above 0", text);
  return quota;
}

bool Quotas::admit(std::string_view account, std::string_view region, std::string_view operation, WallTime now) {
  if (quotas_.empty()) return true;
  const std::lock_guard lock(mutex_);
  std::vector<Bucket*> taken;
  for (const Quota& quota : quotas_) {
    if (!counts(quota, operation)) continue;
    const double most = std::max(1.0, quota.per_second);
    auto [it, fresh] = buckets_.try_emplace(fmt::format("{}/{}/{}", account, region, quota.name), Bucket{most, now});
    Bucket& bucket = it->second;
    // A clock that was set back gives nothing and takes nothing.
    const double seconds = std::max(0.0, static_cast<double>((now - bucket.filled).count()) / 1000.0);
    bucket.tokens = std::min(most, bucket.tokens + seconds * quota.per_second);
    bucket.filled = now;
    if (bucket.tokens < 1) return false;
    taken.push_back(&bucket);
  }
  for (Bucket* bucket : taken) bucket->tokens -= 1;
  return true;
}

}  // namespace casemate::kms::api
