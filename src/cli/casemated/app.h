// SPDX-License-Identifier: Apache-2.0
// The casemated program: KMS, STS and IMDS in one process.
#pragma once

namespace casemate::cli::casemated {

// run_casemated serves until SIGTERM or SIGINT and returns the exit status: 0 ended by a signal, 1 refused or failed
// with one line on standard error, 2 usage.
int run_casemated(int argc, char** argv);

}  // namespace casemate::cli::casemated
