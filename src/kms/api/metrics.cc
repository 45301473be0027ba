// SPDX-License-Identifier: Apache-2.0
#include "kms/api/metrics.h"

#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

// Upper bounds of the buckets, in microseconds.
constexpr std::uint64_t kBounds[] = {100, 250, 500, 1'000, 2'500, 5'000, 10'000, 50'000, 250'000, 1'000'000};
constexpr std::size_t kBuckets = sizeof kBounds / sizeof *kBounds;
constexpr std::string_view kResults[] = {"ok", "refused", "failed"};

}  // namespace

struct Metrics::Row {
  std::atomic<std::uint64_t> results[3]{};
  std::atomic<std::uint64_t> buckets[kBuckets]{};
  std::atomic<std::uint64_t> microseconds{0};
};

Metrics::Metrics() : rows_(new Row[all_operations().size()]) {}
Metrics::~Metrics() = default;

void Metrics::count(const Operation& operation, Result result, std::chrono::nanoseconds duration) {
  const auto index = static_cast<std::size_t>(&operation - all_operations().data());
  CASEMATE_CHECK(index < all_operations().size());
  Row& row = rows_[index];
  const auto took = static_cast<std::uint64_t>(duration.count() < 0 ? 0 : duration.count() / 1000);
  row.results[static_cast<std::size_t>(result)].fetch_add(1, std::memory_order_relaxed);
  row.microseconds.fetch_add(took, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (took > kBounds[i]) continue;
    row.buckets[i].fetch_add(1, std::memory_order_relaxed);
    break;
  }
}

std::string Metrics::text() const {
  std::string requests =
      "# HELP casemate_kms_requests_total Authenticated calls by operation and result.\n"
      "# TYPE casemate_kms_requests_total counter\n";
  std::string durations =
      "# HELP casemate_kms_request_seconds Time from the request to its answer.\n"
      "# TYPE casemate_kms_request_seconds histogram\n";
  for (std::size_t i = 0; i < all_operations().size(); ++i) {
    const Row& row = rows_[i];
    const std::string_view name = all_operations()[i].name;
    std::uint64_t total = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      const std::uint64_t count = row.results[r].load(std::memory_order_relaxed);
      total += count;
      if (count != 0)
        requests +=
            fmt::format("casemate_kms_requests_total{{operation=\"{}\",result=\"{}\"}} {}\n", name, kResults[r], count);
    }
    if (total == 0) continue;
    std::uint64_t below = 0;
    for (std::size_t b = 0; b < kBuckets; ++b) {
      below += row.buckets[b].load(std::memory_order_relaxed);
      durations += fmt::format("casemate_kms_request_seconds_bucket{{operation=\"{}\",le=\"{}\"}} {}\n", name,
                               static_cast<double>(kBounds[b]) / 1e6, below);
    }
    durations += fmt::format("casemate_kms_request_seconds_bucket{{operation=\"{}\",le=\"+Inf\"}} {}\n", name, total);
    durations += fmt::format("casemate_kms_request_seconds_sum{{operation=\"{}\"}} {}\n", name,
                             static_cast<double>(row.microseconds.load(std::memory_order_relaxed)) / 1e6);
    durations += fmt::format("casemate_kms_request_seconds_count{{operation=\"{}\"}} {}\n", name, total);
  }
  return requests + durations +
         fmt::format(
             "# HELP casemate_kms_unauthenticated_total Calls whose signature did not hold.\n"
             "# TYPE casemate_kms_unauthenticated_total counter\ncasemate_kms_unauthenticated_total {}\n"
             "# HELP casemate_kms_throttled_total Calls over a quota.\n"
             "# TYPE casemate_kms_throttled_total counter\ncasemate_kms_throttled_total {}\n",
             unauthenticated_.load(std::memory_order_relaxed), throttled_.load(std::memory_order_relaxed));
}

}  // namespace casemate::kms::api
