// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/build_commands.h"

#include "cli/nitro/build_enclave.h"
#include "cli/nitro/describe_eif.h"
#include "cli/nitro/explain.h"
#include "cli/nitro/pcr.h"
#include "cli/nitro/sign_eif.h"

namespace casemate::cli::nitro {

void add_build_commands(CLI::App& app, int& exit_code) {
  add_build_enclave(app, exit_code);
  add_describe_eif(app, exit_code);
  add_validate_eif(app, exit_code);
  add_sign_eif(app, exit_code);
  add_pcr(app, exit_code);
  add_pcr_diff(app, exit_code);
  add_eif(app, exit_code);
  add_explain(app, exit_code);
}

}  // namespace casemate::cli::nitro
