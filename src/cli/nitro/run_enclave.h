// SPDX-License-Identifier: Apache-2.0
// nitro-cli run-enclave.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/nitro/errors.h"
#include "runtime/launch.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

// The flags as typed; those that are numbers are read by run_request, which names the flag in its error.
struct RunEnclaveOptions {
  std::string eif_path;
  std::string enclave_name;
  std::string enclave_cid;
  std::string memory;
  std::string cpu_count;
  std::vector<std::string> cpu_ids;
  std::string config;
  std::vector<std::string> faults;
  std::string boot_timeout;
  std::optional<std::string> wait_ready;  // empty: any port
  std::vector<std::string> published;
  std::string restart;
  bool debug_mode = false;
  bool attach_console = false;
};

void add_run_enclave(CLI::App& app, int& exit_code);

// parse_memory reads a number of MiB, or one with the unit M, G or T (of 1024), as `--memory` takes it. Errors: kMalformed.
Result<std::uint64_t> parse_memory(std::string_view text);

// run_request turns flags, or the text of a --config file, into a request.
std::variant<runtime::RunRequest, Failure> run_request(const RunEnclaveOptions& options);
std::variant<runtime::RunRequest, Failure> config_request(std::string_view json_text);

// start_code is the number of a start that failed at `step`.
ECode start_code(runtime::StartStep step, const Error& error);

}  // namespace casemate::cli::nitro
