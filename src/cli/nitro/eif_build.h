// SPDX-License-Identifier: Apache-2.0
// eif_build: AWS's small tool for people who bring kernel and ramdisks. The flags of both its generations are taken.
#pragma once

namespace casemate::cli::nitro {

// eif_build is the program: its exit status is 0, 1 or, for wrong flags, 2.
int eif_build(int argc, char** argv);

}  // namespace casemate::cli::nitro
