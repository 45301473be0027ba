// SPDX-License-Identifier: Apache-2.0
// CASEMATE_CHECK ends the process on a bug of ours; it is never used on input and stays on in release builds.
#pragma once

namespace casemate {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace casemate

#define CASEMATE_CHECK(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::casemate::check_failed(#condition, __FILE__, __LINE__))
