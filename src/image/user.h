// SPDX-License-Identifier: Apache-2.0
// An image's USER as numbers, by the image's own /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace casemate::image {

struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // besides gid
  std::string home = "/";
};

// find_user reads USER[:GROUP] as container engines do: names are looked up, then taken as numbers; a number that nobody
// has is a user without groups. Empty means root. Lines of passwd(5) and group(5) that cannot be read are passed over.
// Errors: kNotFound (naming the user or group).
Result<User> find_user(std::string_view text, std::string_view passwd, std::string_view group);

}  // namespace casemate::image
