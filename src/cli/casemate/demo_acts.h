// SPDX-License-Identifier: Apache-2.0
// The fourteen acts: commands as a user types them, and what must be true after each.
#pragma once

#include <vector>

#include "cli/casemate/demo.h"
#include "cli/casemate/demo_stage.h"

namespace casemate::cli {

struct Act {
  int number;
  const char* title;
  void (*play)(Stage& stage, Engine engine);
};

const std::vector<Act>& acts();

}  // namespace casemate::cli
