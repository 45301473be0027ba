// SPDX-License-Identifier: Apache-2.0
#include "cli/enclave/enclave.h"
#include "cli/zeroing/zeroing_allocator.h"

int main(int argc, char** argv) {
  casemate::cli::clear_openssl_memory();
  return casemate::cli::enclave::casemate_enclave(argc, argv);
}
