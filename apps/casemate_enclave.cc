// SPDX-License-Identifier: Apache-2.0
#include "cli/enclave/enclave.h"

int main(int argc, char** argv) { return casemate::cli::enclave::casemate_enclave(argc, argv); }
