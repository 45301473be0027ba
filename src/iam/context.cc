// SPDX-License-Identifier: Apache-2.0
#include "iam/context.h"

#include "base/time_text.h"

namespace casemate::iam {
namespace {

// A KMS request carries about this many keys.
constexpr std::size_t kUsualKeys = 40;

}  // namespace

RequestContext::RequestContext() {
  entries_.reserve(kUsualKeys);
}

RequestContext::Entry& RequestContext::slot(std::string_view key) {
  for (Entry& entry : entries_) {
    if (equal_ignoring_case(entry.key, key)) return entry;
  }
  Entry& entry = entries_.emplace_back();
  entry.key = key;
  return entry;
}

void RequestContext::set(std::string_view key, std::string_view value) {
  Entry& entry = slot(key);
  entry.one = value;
  entry.list = false;
}

void RequestContext::set_number(std::string_view key, std::int64_t value) {
  set(key, std::to_string(value));
}

void RequestContext::set_time(std::string_view key, WallTime value) {
  set(key, format_rfc3339(value));
}

void RequestContext::set_list(std::string_view key, std::vector<std::string> values) {
  Entry& entry = slot(key);
  entry.many = std::move(values);
  entry.list = true;
}

const RequestContext::Entry* RequestContext::find(std::string_view key) const {
  for (const Entry& entry : entries_) {
    if (equal_ignoring_case(entry.key, key)) return entry.values().empty() ? nullptr : &entry;
  }
  return nullptr;
}

}  // namespace casemate::iam
