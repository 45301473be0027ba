// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault.h"

#include <algorithm>
#include <array>

namespace casemate::runtime {
namespace {

constexpr std::array<std::string_view, 8> kNames = {"expired-leaf",  "wrong-pcr", "stale-document", "bad-signature",
                                                    "foreign-root", "nsm-error", "slow-nsm",       "boot-hang"};

}  // namespace

std::string_view to_string(Fault fault) { return kNames.at(static_cast<std::size_t>(fault)); }

Result<Fault> parse_fault(std::string_view text) {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found != kNames.end()) return static_cast<Fault>(found - kNames.begin());
  std::string known;
  for (const std::string_view name : kNames) known += (known.empty() ? "" : ", ") + std::string(name);
  return malformed("fault: `{}`, want one of {}", text.substr(0, 64), known);
}

std::vector<std::string_view> Faults::names() const {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (has(static_cast<Fault>(i))) names.push_back(kNames.at(i));
  }
  return names;
}

}  // namespace casemate::runtime
