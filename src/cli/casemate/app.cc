// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/app.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace casemate::cli {

int run_casemate(int argc, char** argv) {
  CLI::App app("casemate: the Nitro Enclaves attestation stack on any Linux machine", "casemate");
  app.set_version_flag("--version", "casemate 0.1.0");
  app.require_subcommand(1);
  const int exit_code = 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "casemate: %s\n", error.what());
    return 2;
  }
  return exit_code;
}

}  // namespace casemate::cli
