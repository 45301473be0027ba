// SPDX-License-Identifier: Apache-2.0
// nitro-cli sign-eif.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_sign_eif(CLI::App& app, int& exit_code);

}  // namespace casemate::cli::nitro
