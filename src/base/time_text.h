// SPDX-License-Identifier: Apache-2.0
// UTC time as text: RFC 3339 and the ISO 8601 basic form that SigV4 uses. Independent of locale and time zone.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace casemate {

// format_rfc3339 gives `2026-01-31T23:59:59Z`; with milliseconds, `2026-01-31T23:59:59.123Z`.
std::string format_rfc3339(WallTime time);
std::string format_rfc3339_millis(WallTime time);

// format_basic gives `20260131T235959Z` (SigV4's x-amz-date).
std::string format_basic(WallTime time);

// parse_basic reads `YYYYMMDD'T'HHMMSS'Z'` and nothing else. Errors: kMalformed.
Result<WallTime> parse_basic(std::string_view text);

// parse_rfc3339 reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`; a fraction is cut to milliseconds. Errors: kMalformed.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace casemate
