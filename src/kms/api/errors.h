// SPDX-License-Identifier: Apache-2.0
// Faults as the wire has them: names, statuses, and which members an error body has.
#pragma once

#include <string_view>

#include "http/message.h"
#include "kms/fault.h"

namespace casemate::kms::api {

// error_name is the `__type` of a fault: `AccessDeniedException`.
std::string_view error_name(FaultKind kind);

// error_response is the whole answer but for the headers that every answer has.
http::Response error_response(const Fault& fault);
// error_response for errors that come before any operation: signature and transport.
http::Response error_response(std::string_view type, std::string_view message, unsigned status);

}  // namespace casemate::kms::api
