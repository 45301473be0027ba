// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/app.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/casemate/attest.h"
#include "cli/casemate/audit.h"
#include "cli/casemate/console.h"
#include "cli/casemate/demo.h"
#include "cli/casemate/exec.h"
#include "cli/casemate/explain.h"
#include "cli/casemate/init.h"
#include "cli/casemate/pki.h"
#include "cli/casemate/platform.h"
#include "cli/casemate/policy.h"
#include "cli/casemate/vault.h"

namespace casemate::cli {

int run_casemate(int argc, char** argv) {
  if (const auto status = find_exec(argc, argv)) return *status;
  CLI::App app("casemate: the Nitro Enclaves attestation stack on any Linux machine", "casemate");
  app.set_version_flag("--version", "casemate 0.1.0");
  app.require_subcommand(1);
  int exit_code = 0;
  add_up(app, exit_code);
  add_down(app, exit_code);
  add_status(app, exit_code);
  add_env(app, exit_code);
  describe_exec(app);
  add_console(app, exit_code);
  add_demo(app, exit_code);
  add_init(app, exit_code);
  add_attest(app, exit_code);
  add_pki(app, exit_code);
  add_policy(app, exit_code);
  add_explain(app, exit_code);
  add_audit(app, exit_code);
  add_vault(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    // CLI11 says "a subcommand is required" of a name that it does not know.
    const bool unknown = argc > 1 && argv[1][0] != '-' && app.get_subcommands([&](CLI::App* verb) { return verb->get_name() == argv[1]; }).empty();
    if (unknown) {
      std::fprintf(stderr, "casemate: %s: no such command; casemate --help lists them\n", argv[1]);
    } else {
      std::fprintf(stderr, "casemate: %s\n", error.what());
    }
    return 2;
  }
  return exit_code;
}

}  // namespace casemate::cli
