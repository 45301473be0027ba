// SPDX-License-Identifier: Apache-2.0
// sd_notify(3), for an enclave that is a unit of its own.
#pragma once

#include "json/value.h"

namespace casemate::cli::nitro {

// tell_service_manager says on NOTIFY_SOCKET, where that is set, that the enclave is ready and that its process is the
// service's main one from now on; `shown` is what run-enclave prints. Errors: kInternal.
Result<void> tell_service_manager(const json::Value& shown);

}  // namespace casemate::cli::nitro
