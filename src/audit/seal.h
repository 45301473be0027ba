// SPDX-License-Identifier: Apache-2.0
// Seals of audit lines. A line is the event's JSON with a last member
//   "casemate":{"sequence":N,"previous":"64 digits","hash":"64 digits"}
// where `hash` is the SHA-256 of the bytes before `","hash"` and `previous` the hash of the line before (zeros for
// the first). Bytes are sealed, not values: a space more is a change.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace casemate::audit {

inline constexpr std::size_t kLongestLine = 1024 * 1024;

// Link is a place in the chain: after event `sequence` whose hash is `hash`.
struct Link {
  std::uint64_t sequence = 0;
  std::string hash = std::string(64, '0');
};

// seal_line gives the line (without line end) that follows `last`, and moves `last` on. `event` is the JSON text of an
// object with at least one member; it becomes the line.
std::string seal_line(std::string event, Link& last);

// Sealed is a line whose own hash is right.
struct Sealed {
  std::uint64_t sequence = 0;
  std::string_view previous;
  std::string_view hash;
};

// check_line recomputes a line's hash. Errors: kMalformed (no seal), kUntrusted (changed).
Result<Sealed> check_line(std::string_view line);

// check_next is check_line, and that the line follows `last`, which moves on. Errors: as check_line; kUntrusted when
// lines were removed, added or reordered.
Result<void> check_next(std::string_view line, Link& last);

// head_text and parse_head are the form of `audit.head`, fixed in length.
inline constexpr std::size_t kHeadSize = 20 + 1 + 64 + 1;
std::string head_text(const Link& link);
Result<Link> parse_head(std::string_view text);

}  // namespace casemate::audit
