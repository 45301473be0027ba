// SPDX-License-Identifier: Apache-2.0
// Asking /dev/nsm, as a program inside an enclave does.
#pragma once

#include "nsm/message.h"

namespace casemate::cli {

// ask_nsm sends one request to the device (NSM_IOCTL_RAW). An Error response is returned as a response. Errors: kNotFound
// (no such device: not in an enclave), kLimit, kMalformed, kInternal.
Result<nsm::Response> ask_nsm(const nsm::Request& request);

}  // namespace casemate::cli
