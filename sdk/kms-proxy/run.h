// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/kms-proxy/options.h"

namespace casemate::kms_proxy {

// run serves until a signal or the command's end and returns the exit status.
Result<int> run(const Options& options);

}  // namespace casemate::kms_proxy
