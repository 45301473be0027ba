// SPDX-License-Identifier: Apache-2.0
// What the parent learns of a decrypted value.
#pragma once

#include "casemate/result.h"

namespace data_processing {

// what_leaves_the_enclave is the last four characters. Errors: kMalformed (the value has fewer).
casemate::Result<std::string> what_leaves_the_enclave(std::string_view value);

}  // namespace data_processing
