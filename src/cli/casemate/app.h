// SPDX-License-Identifier: Apache-2.0
// The `casemate` program: the platform's front door.
#pragma once

namespace casemate::cli {

// run_casemate parses the command line, acts and returns the exit status: 0 done, 1 refused or failed, 2 usage.
int run_casemate(int argc, char** argv);

}  // namespace casemate::cli
