// SPDX-License-Identifier: Apache-2.0
// The nitro-cli program: its table of verbs and its usage errors.
#pragma once

namespace casemate::cli::nitro {

// nitro_cli runs the program and returns its exit status: 0, the number of the error printed (errors.h), or 2 for a
// usage error, which is one line on standard error.
int nitro_cli(int argc, char** argv);

}  // namespace casemate::cli::nitro
