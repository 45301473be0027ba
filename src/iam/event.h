// SPDX-License-Identifier: Apache-2.0
// What every service's audit event says of the caller and the request, in CloudTrail's members.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "http/message.h"
#include "iam/caller.h"
#include "json/value.h"

namespace casemate::iam {

// event_head gives eventVersion, userIdentity, eventTime, eventSource, eventName, awsRegion, sourceIPAddress,
// userAgent.
json::Object event_head(const Caller& caller, const http::Request& request, std::string_view source,
                        std::string_view name, std::string_view region, WallTime now);

}  // namespace casemate::iam
