// SPDX-License-Identifier: Apache-2.0
// A control group for one guest where this process may make one, of version 2 or 1.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace casemate::runtime::sandbox {

struct CgroupLimits {
  std::uint64_t memory_bytes = 0;
  std::uint64_t processes = 0;
  std::uint32_t cpus = 0;
};

class Cgroup {
 public:
  Cgroup() = default;
  Cgroup(Cgroup&& other) noexcept { *this = std::move(other); }
  Cgroup& operator=(Cgroup&& other) noexcept;
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  // Removes the groups; their processes must be gone.
  ~Cgroup() { remove(); }

  // create puts `pid` and its later children under the limits that this process may set; what it may not is missing
  // from the result, never an error.
  static Cgroup create(const std::string& name, const CgroupLimits& limits, pid_t pid);

  // name_of names the group of a guest of this process; sweep removes the groups so named whose process was killed before
  // it could.
  static std::string name_of(std::uint32_t cid);
  static void sweep();

  bool limits_memory() const { return memory_; }
  bool limits_processes() const { return processes_; }

 private:
  void remove();
  std::vector<std::string> folders_;
  bool memory_ = false;
  bool processes_ = false;
};

}  // namespace casemate::runtime::sandbox
