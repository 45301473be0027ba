// SPDX-License-Identifier: Apache-2.0
// nitro-cli pcr and pcr-diff.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_pcr(CLI::App& app, int& exit_code);
void add_pcr_diff(CLI::App& app, int& exit_code);

}  // namespace casemate::cli::nitro
