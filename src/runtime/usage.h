// SPDX-License-Identifier: Apache-2.0
// What a guest uses of the machine, by /proc alone: the same wherever cgroups may or may not be read.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace casemate::runtime {

struct Usage {
  std::uint64_t processes = 0;
  std::uint64_t threads = 0;
  double cpu_seconds = 0;          // of those that run and of those that were waited for
  std::uint64_t resident_bytes = 0;  // shared pages count for each that maps them
};

// usage_of sums over a process and all its descendants. Errors: kNotFound (it is gone).
Result<Usage> usage_of(pid_t root);

// resident_bytes_of is one process's own. Errors: kNotFound.
Result<std::uint64_t> resident_bytes_of(pid_t pid);

// release_code_pages takes this process's code out of its resident set: most of it ran once, at the start. What is needed
// again comes back from the page cache, a page at a time.
void release_code_pages();

}  // namespace casemate::runtime
