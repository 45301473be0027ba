// SPDX-License-Identifier: Apache-2.0
// seccomp filters from a table of rules (Linux Documentation/userspace-api/seccomp_filter.rst). Names are resolved by
// libseccomp; the code is our own because a rule here compares what the kernel itself looks at, the low 32 bits of an
// int argument (libseccomp compares 64, so socket(1<<32 | AF_VSOCK) would pass a test for AF_VSOCK), and because the
// first matching rule of a call wins, with its own errno for what falls through.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace casemate::seccomp {

struct Action {
  std::uint32_t value = 0;  // SECCOMP_RET_*
  friend bool operator==(const Action&, const Action&) = default;
};
Action allow();
Action notify();
Action fail(int errno_number);

// ArgTest holds when (low 32 bits of args[index] & mask) == value.
struct ArgTest {
  std::uint8_t index = 0;
  std::uint32_t value = 0;
  std::uint32_t mask = 0xffffffff;
};

// Rule: `then` applies to a call named so whose arguments pass every test. `reason` is for the reader.
struct Rule {
  std::string_view call;
  std::vector<ArgTest> when;
  Action then;
  std::string_view reason;
};

using Program = std::vector<sock_filter>;

// assemble compiles the rules for this machine's architecture. `otherwise` is for calls in no rule, or whose rules all
// fail; `foreign` for those made through another ABI (int 0x80, x32). Names that this architecture lacks are passed over.
// Errors: kMalformed (a name that no architecture has), kLimit (longer than the kernel takes).
Result<Program> assemble(const std::vector<Rule>& rules, Action otherwise, Action foreign);

// call_number gives the system call's number here, or -1.
int call_number(std::string_view call);

}  // namespace casemate::seccomp
