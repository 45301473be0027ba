// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/exec.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>

#include "os/file.h"
#include "os/paths.h"
#include "runtime/sandbox/attach.h"

namespace casemate::cli {
namespace {

Result<int> run_exec(const std::vector<std::string>& command) {
  const os::Paths paths = TRY(os::paths_from_environment());
  TRY(os::make_private_directories(paths.fabric()));
  return runtime::sandbox::attach(command, paths.fabric().native());
}

}  // namespace

std::vector<std::string> command_of(std::vector<std::string> remaining) {
  if (!remaining.empty() && remaining.front() == "--") remaining.erase(remaining.begin());
  return remaining;
}

std::optional<int> find_exec(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != "exec") return std::nullopt;
  const std::vector<std::string> command = command_of({argv + 2, argv + argc});
  if (command.empty()) {
    std::fprintf(stderr, "casemate exec: no command, want casemate exec -- CMD [ARGS]\n");
    return 2;
  }
  if (argc > 2 && (std::string_view(argv[2]) == "--help" || std::string_view(argv[2]) == "-h")) return std::nullopt;
  const Result<int> status = run_exec(command);
  if (status.ok()) return *status;
  std::fprintf(stderr, "casemate exec: %s\n", status.error().message().c_str());
  return 125;  // our own failure, as env and timeout have it
}

void describe_exec(CLI::App& app) {
  app.add_subcommand("exec", "Run a program of the parent with AF_VSOCK of this platform: exec -- CMD [ARGS]");
}

}  // namespace casemate::cli
