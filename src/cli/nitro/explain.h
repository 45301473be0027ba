// SPDX-License-Identifier: Apache-2.0
// nitro-cli explain.
#pragma once

#include <string>

#include "cli/nitro/errors.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_explain(CLI::App& app, int& exit_code);

// explanation is what the command prints for one code.
std::string explanation(const CodeInfo& code);

}  // namespace casemate::cli::nitro
