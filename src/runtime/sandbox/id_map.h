// SPDX-License-Identifier: Apache-2.0
// Which of the host's ids a guest's are: never root's, and where possible none that the host uses.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace casemate::runtime::sandbox {

struct IdMap {
  enum class Means {
    kDirect,  // as root: write the maps
    kHelper,  // as a user with subordinate ids: newuidmap and newgidmap
    kSelf,    // as a user without: the guest's root is this user, and there are no other ids
  };
  Means means = Means::kSelf;
  std::uint32_t first_uid = 0;
  std::uint32_t first_gid = 0;
  std::uint32_t count = 1;
};

inline constexpr std::uint32_t kGuestIds = 65536;

// plan_ids chooses for this user; `slot` keeps the guests of one root apart.
IdMap plan_ids(std::uint32_t slot);

// apply_ids gives the user namespace of `pid` its maps, and returns which: where newuidmap refuses, the user's own id
// alone. Errors: kUnsupported, kInternal.
Result<IdMap> apply_ids(pid_t pid, const IdMap& map);

// find_subordinate reads /etc/subuid's format: the first range of at least kGuestIds that is the user's; 0 for none.
std::uint32_t find_subordinate(std::string_view file, std::string_view name, std::uint32_t id);

}  // namespace casemate::runtime::sandbox
