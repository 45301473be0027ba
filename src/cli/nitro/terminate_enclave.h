// SPDX-License-Identifier: Apache-2.0
// nitro-cli terminate-enclave and wait.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_terminate_enclave(CLI::App& app, int& exit_code);
// wait returns when the enclave ends, with its application's exit status, or 128 and the number of the signal that killed
// it.
void add_wait(CLI::App& app, int& exit_code);
void add_stats(CLI::App& app, int& exit_code);

}  // namespace casemate::cli::nitro
