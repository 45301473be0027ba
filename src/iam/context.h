// SPDX-License-Identifier: Apache-2.0
// RequestContext: the condition keys of one request. Names compare without case, values keep theirs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/text.h"

namespace casemate::iam {

class RequestContext {
 public:
  struct Entry {
    std::string key;    // as set; its case does not matter
    bool list = false;  // a multi-valued key: only ForAnyValue and ForAllValues look into it
    std::span<const std::string> values() const { return list ? std::span(many) : std::span(&one, 1); }

    std::string one;  // of a single-valued key: most are, and need no block for it
    std::vector<std::string> many;
  };

  RequestContext();

  // set adds or replaces a single-valued key.
  void set(std::string_view key, std::string_view value);
  void set_bool(std::string_view key, bool value) { set(key, value ? "true" : "false"); }
  void set_number(std::string_view key, std::int64_t value);
  void set_time(std::string_view key, WallTime value);
  // set_list adds or replaces a multi-valued key; an empty list counts as an absent key.
  void set_list(std::string_view key, std::vector<std::string> values);

  const Entry* find(std::string_view key) const;
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  std::size_t size() const { return entries_.size(); }
  // shrink takes back the keys that were added since there were `size`; what was replaced since stays replaced.
  void shrink(std::size_t size) { entries_.resize(std::min(size, entries_.size())); }

 private:
  Entry& slot(std::string_view key);

  std::vector<Entry> entries_;
};

// fold lowers ASCII letters.
inline std::string fold(std::string_view text) { return to_lower(text); }

}  // namespace casemate::iam
