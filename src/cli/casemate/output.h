// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <string_view>

#include "os/file.h"

namespace casemate::cli {

// print writes all of a command's output. Errors: as os::write_all (kLimit: disk full; kUnavailable: closed pipe).
inline Result<void> print(std::string_view text) {
  return os::write_all(STDOUT_FILENO, as_bytes(text));
}

}  // namespace casemate::cli
