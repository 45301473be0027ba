// SPDX-License-Identifier: Apache-2.0
// The enclave process: it starts one enclave, answers for it on its control socket, and ends with it.
#pragma once

#include "runtime/launch.h"

namespace casemate::runtime {

// Requests on a control socket (wire.h), one a connection: {"command": C, ...} with C one of
//   describe   {"metadata": bool}   -> describe_json
//   console    {"follow": bool}     -> {"EnclaveCID": n}, then the console's bytes: what the ring holds and what comes
//   stats                           -> uptime, processes, CPU, memory, NSM requests, vsock ports
//   wait                            -> {"signalled": bool, "status": n}, when the guest has ended
//   terminate                       -> {"EnclaveName", "EnclaveID", "Terminated": true, "process": {pid, start_ticks}}
// or else {"error": {"code": name, "message": text}}. The owner of the process and root may ask anything, others all but
// terminate.

// supervise serves nitro-cli's first connection and then the enclave: it reads a run request ({"run": ...}) from `nitro_cli`,
// launches, sends {"say": line}... and {"started": run_json} or {"failed": {"step", "code", "message"}}, and, when the
// console was to be attached, goes on there with the console's bytes. An enclave whose nitro-cli went away before it
// could be told of the start is terminated. Returns once the enclave has ended and its run files are gone. SIGTERM and
// SIGINT, which are blocked here, end the enclave.
// Errors: the start's.
Result<GuestExit> supervise(UniqueFd nitro_cli, Host& host);

}  // namespace casemate::runtime
