// SPDX-License-Identifier: Apache-2.0
#include "cli/vsock_proxy/app.h"

int main(int argc, char** argv) { return casemate::cli::vsock_proxy::run_vsock_proxy(argc, argv); }
