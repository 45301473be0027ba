// SPDX-License-Identifier: Apache-2.0
// nitro-cli describe-enclaves.
#pragma once

#include <string>
#include <vector>

#include "runtime/enclave.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_describe_enclaves(CLI::App& app, int& exit_code);

// descriptions is what the command prints.
std::string descriptions(const std::vector<runtime::EnclaveInfo>& enclaves);

}  // namespace casemate::cli::nitro
