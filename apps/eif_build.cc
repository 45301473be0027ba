// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/eif_build.h"

int main(int argc, char** argv) { return casemate::cli::nitro::eif_build(argc, argv); }
