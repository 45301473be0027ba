// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/app.h"

int main(int argc, char** argv) {
  return casemate::cli::run_casemate(argc, argv);
}
