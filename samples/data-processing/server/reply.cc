// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

namespace data_processing {

casemate::Result<std::string> what_leaves_the_enclave(std::string_view value) {
  if (value.size() < 4) return casemate::Error(casemate::ErrorCode::kMalformed, "the value is shorter than 4 characters");
  return std::string(value.substr(value.size() - 4));  // the one line that decides what the parent learns
}

}  // namespace data_processing
