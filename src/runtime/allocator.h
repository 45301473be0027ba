// SPDX-License-Identifier: Apache-2.0
// The allocator file: what of this machine enclaves may have, in the form of AWS's allocator.yaml. On the local platform
// it is `allocator.yaml` in CASEMATE_HOME; without one there is no bound.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "os/paths.h"

namespace casemate::runtime {

struct Allocator {
  std::uint64_t memory_mib = 0;            // of all enclaves together
  std::uint32_t cpu_count = 0;             // 0: cpu_pool says which
  std::vector<std::uint32_t> cpu_pool;     // ascending

  // pool is the CPUs that enclaves may have on a machine with that many.
  std::vector<std::uint32_t> pool(std::uint32_t machine_cpus) const;
};

// parse_allocator reads `key: value` lines; `cpu_pool` is a list like 2,3,6-9. Comments and blank lines are skipped.
// Errors: kMalformed naming line and key, kConflict (both cpu_count and cpu_pool).
Result<Allocator> parse_allocator(std::string_view text);

// load_allocator reads the platform's file; nothing where there is none.
Result<std::optional<Allocator>> load_allocator(const os::Paths& paths);

}  // namespace casemate::runtime
