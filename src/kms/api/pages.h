// SPDX-License-Identifier: Apache-2.0
// Pages of lists: a marker is the base64 of the last name given.
#pragma once

#include "kms/api/call.h"

namespace casemate::kms::api {

struct PageRequest {
  std::string after;
  std::size_t limit = 0;
};
// Faults: Validation (a limit above `most`), InvalidMarker.
Outcome<PageRequest> read_page(const Call& call, std::size_t default_limit, std::size_t most);

// end_page sets Truncated and NextMarker; `more` is whether something comes after `last`.
void end_page(json::Object& answer, bool more, std::string_view last);

// cut_page removes the one item too many that says that there is more.
template <typename Item>
bool cut_page(std::vector<Item>& items, const PageRequest& page) {
  if (items.size() <= page.limit) return false;
  items.pop_back();
  return true;
}

}  // namespace casemate::kms::api
