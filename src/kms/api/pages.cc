// SPDX-License-Identifier: Apache-2.0
#include "kms/api/pages.h"

#include "base/encoding.h"
#include "kms/api/operations.h"

namespace casemate::kms::api {

json::Value seconds(WallTime time) {
  return static_cast<double>(time.time_since_epoch().count()) / 1000.0;
}

json::Array strings(std::span<const std::string_view> values) {
  return json::Array(values.begin(), values.end());
}

Outcome<PageRequest> read_page(const Call& call, std::size_t default_limit, std::size_t most) {
  PageRequest page;
  const std::int64_t limit = call.input().integer("Limit").value_or(static_cast<std::int64_t>(default_limit));
  if (limit > static_cast<std::int64_t>(most)) {
    return fault(FaultKind::kValidation,
                 constraint_failure(fmt::format("Value '{}' at 'limit'", limit),
                                    fmt::format("Member must have value less than or equal to {}", most)));
  }
  page.limit = static_cast<std::size_t>(limit);
  if (const std::string* marker = call.input().text("Marker")) {
    const auto decoded = decode_base64(*marker);
    if (!decoded.ok() || decoded->empty()) {
      return fault(FaultKind::kInvalidMarker, fmt::format("Could not deserialize marker '{}'", *marker));
    }
    page.after = as_text(*decoded);
  }
  return page;
}

void end_page(json::Object& answer, bool more, std::string_view last) {
  answer.set("Truncated", more);
  if (more) answer.set("NextMarker", encode_base64(as_bytes(last)));
}

}  // namespace casemate::kms::api
