// SPDX-License-Identifier: Apache-2.0
#include "iam/arn.h"

#include <algorithm>

#include "base/result.h"

namespace casemate::iam {
namespace {

constexpr std::size_t kArnBytes = 2048;

}  // namespace

Result<Arn> parse_arn(std::string_view text) {
  if (text.size() > kArnBytes) return over_limit("arn: {} bytes, at most {}", text.size(), kArnBytes);
  std::string_view parts[6];
  for (int i = 0; i < 5; ++i) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return malformed("arn: {} parts, want 6", i + 1);
    parts[i] = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  parts[5] = text;
  if (parts[0] != "arn") return malformed("arn: begins with another word than \"arn\"");
  if (parts[1].empty()) return malformed("arn: partition is empty");
  if (parts[2].empty()) return malformed("arn: service is empty");
  if (parts[5].empty()) return malformed("arn: resource is empty");
  return Arn{parts[1], parts[2], parts[3], parts[4], parts[5]};
}

bool is_account_id(std::string_view text) {
  return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string root_arn(std::string_view account, std::string_view partition) {
  return fmt::format("arn:{}:iam::{}:root", partition, account);
}

}  // namespace casemate::iam
