// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/app.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "cli/nitro/build_commands.h"
#include "cli/nitro/console.h"
#include "cli/nitro/describe_enclaves.h"
#include "cli/nitro/run_enclave.h"
#include "cli/nitro/terminate_enclave.h"

namespace casemate::cli::nitro {
namespace {

constexpr int kUsage = 2;

std::string first_line(std::string text) { return text.substr(0, text.find('\n')); }

}  // namespace

int nitro_cli(int argc, char** argv) {
  CLI::App app{"Build, run, describe and terminate enclaves", "nitro-cli"};
  app.set_version_flag("-V,--version", "Nitro CLI " CASEMATE_VERSION " (casemate)");
  app.require_subcommand(1);
  int exit_code = 0;
  add_build_commands(app, exit_code);
  add_run_enclave(app, exit_code);
  add_describe_enclaves(app, exit_code);
  add_console(app, exit_code);
  add_terminate_enclave(app, exit_code);
  add_logs(app, exit_code);
  add_wait(app, exit_code);
  add_stats(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    // CLI11 says "a subcommand is required" of a name that it does not know.
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands([&](CLI::App* verb) { return verb->get_name() == argv[1]; }).empty()) {
      fmt::print(stderr, "error: Found argument '{}' which wasn't expected (nitro-cli --help lists the commands and flags)\n", argv[1]);
      return 2;
    }
    fmt::print(stderr, "error: {} (nitro-cli --help lists the commands and flags)\n", first_line(error.what()));
    return kUsage;
  }
  return exit_code;
}

}  // namespace casemate::cli::nitro
