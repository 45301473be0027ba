// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/app.h"

int main(int argc, char** argv) { return casemate::cli::nitro::nitro_cli(argc, argv); }
