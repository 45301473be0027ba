// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK for an unmodified program of the parent: the calls that a guest's are answered with, without a guest. The
// program keeps its namespaces, files and network; only its vsock sockets are the fabric's, under the parent's CID.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace casemate::runtime::sandbox {

// attach runs a command to its end and returns its exit status, 128 and the signal's number if one ended it, 126 or 127
// where it could not be executed. Its descendants have AF_VSOCK too, until the command itself ends. SIGTERM and SIGHUP
// are passed on; a terminal's own signals reach the command by themselves. The command runs with no_new_privs: set-user-id
// programs keep the caller's ids. `fabric` is the fabric's folder, which exists. Must be called by a process with one
// thread. Errors: kUnsupported (this kernel, or another filter with a listener above us), kDenied, kInternal.
Result<int> attach(const std::vector<std::string>& command, const std::string& fabric);

}  // namespace casemate::runtime::sandbox
