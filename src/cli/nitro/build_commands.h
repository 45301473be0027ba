// SPDX-License-Identifier: Apache-2.0
// The verbs of nitro-cli that make and examine enclave images.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

// add_build_commands adds build-enclave, describe-eif, sign-eif, pcr, explain, and what AWS lacks: validate-eif, pcr-diff
// and eif extract.
void add_build_commands(CLI::App& app, int& exit_code);

}  // namespace casemate::cli::nitro
