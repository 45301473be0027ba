// SPDX-License-Identifier: Apache-2.0
// nitro-cli console and logs.
#pragma once

#include <chrono>
#include <optional>

#include "runtime/wire.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_console(CLI::App& app, int& exit_code);
// logs prints what the console's ring holds and returns; with --follow it goes on until the enclave ends.
void add_logs(CLI::App& app, int& exit_code);

// follow_console copies a granted console to standard output until the enclave ends or the time is over, and returns the
// exit status.
int follow_console(runtime::Connection& connection, std::uint32_t cid, std::optional<std::chrono::milliseconds> timeout);

}  // namespace casemate::cli::nitro
