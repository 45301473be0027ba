// SPDX-License-Identifier: Apache-2.0
// The casemate-enclave program: one process per running enclave, started by nitro-cli run-enclave and by nobody else.
#pragma once

namespace casemate::cli::enclave {

// casemate_enclave takes `--control-fd N`, the connection on which nitro-cli asks for an enclave (runtime/supervisor.h), and
// returns when the enclave has ended: the application's exit status, or 128 and the signal's number; 1 when it could not
// be started, 2 for a usage error. Events go to
// `nitro_enclaves.log` in NITRO_CLI_LOGS_PATH.
int casemate_enclave(int argc, char** argv);

}  // namespace casemate::cli::enclave
