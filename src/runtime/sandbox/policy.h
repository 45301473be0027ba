// SPDX-License-Identifier: Apache-2.0
// The system calls of a guest: allowed, answered by the supervisor, or refused, with the reason of each.
#pragma once

#include "seccomp/program.h"

namespace casemate::runtime::sandbox {

// guest_policy is deny by default: what is in no rule fails with ENOSYS, as on a kernel that lacks it.
std::vector<seccomp::Rule> guest_policy();

// guest_filter is the policy compiled. Calls by int 0x80 or x32 fail with ENOSYS.
Result<seccomp::Program> guest_filter();

}  // namespace casemate::runtime::sandbox
