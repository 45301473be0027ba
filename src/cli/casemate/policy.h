// SPDX-License-Identifier: Apache-2.0
// `casemate policy simulate | lint | diff | generate`: policies without a running platform.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace casemate::cli {

// add_policy adds the command; `exit_code` gets 1 when a simulation cannot be read, lint finds something or diff does.
void add_policy(CLI::App& app, int& exit_code);

// Simulated is what `policy simulate` prints, with whether every case could be read.
struct Simulated {
  std::string output;
  bool failed = false;
};

enum class SimulateForm { kJson, kWords };

// simulate_text takes one case, or one a line. A case that cannot be read gives {"error": ...} in its place.
Simulated simulate_text(std::string_view input, SimulateForm form);

}  // namespace casemate::cli
