// SPDX-License-Identifier: Apache-2.0
// Amazon Resource Names: `arn:partition:service:region:account:resource`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace casemate::iam {

// Arn views its text: it must outlive the value.
struct Arn {
  std::string_view partition;
  std::string_view service;
  std::string_view region;   // empty for global services
  std::string_view account;  // empty where the service has none
  std::string_view resource;  // everything after the fifth colon, colons included
};

// parse_arn checks shape only: six parts, `arn`, and a non-empty partition, service and resource; at most 2048 bytes.
// Errors: kMalformed naming the part.
Result<Arn> parse_arn(std::string_view text);

// is_account_id: twelve digits.
bool is_account_id(std::string_view text);

std::string root_arn(std::string_view account, std::string_view partition = "aws");

}  // namespace casemate::iam
