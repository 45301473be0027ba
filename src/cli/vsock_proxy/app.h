// SPDX-License-Identifier: Apache-2.0
// The vsock-proxy program: AWS's flags, allowlist file and messages, then what one process for many connections needs.
#pragma once

namespace casemate::cli::vsock_proxy {

// run_vsock_proxy serves until SIGTERM or SIGINT and returns the exit status: 0 ended by a signal, 1 refused or failed
// with one line on standard error, 2 usage.
int run_vsock_proxy(int argc, char** argv);

}  // namespace casemate::cli::vsock_proxy
