// SPDX-License-Identifier: Apache-2.0
// What the console reads from outside: the page's manifest, queries of the audit log, Host and Accept-Encoding headers. The
// first byte picks one.
#include <cstdint>
#include <cstdlib>

#include "console/assets.h"
#include "console/events.h"
#include "console/guard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::console;
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  switch (data[0] % 4) {
    case 0: {
      const AssetLimits limits;
      const auto entries = parse_manifest(text, limits);
      if (!entries.ok()) break;
      if (entries->size() > limits.files) std::abort();
      for (const ManifestEntry& entry : *entries) {
        if (entry.path.empty() || entry.path.front() == '/' || entry.path.find("..") == 0) std::abort();
        if (entry.path.find("/.") != std::string::npos) std::abort();
      }
      break;
    }
    case 1: {
      const auto query = parse_event_query(text);
      if (query.ok() && (query->limit == 0 || (query->before && query->after))) std::abort();
      if (const auto place = parse_place(text); place.ok() && parse_place(to_text(*place)).take() != *place) std::abort();
      break;
    }
    case 2: {
      const std::string name = host_name(text);
      if (name.size() > text.size()) std::abort();
      // A name without its port is its own name.
      if (!name.empty() && host_name(name) != name) std::abort();
      break;
    }
    default: {
      const std::string_view coding = choose_encoding(text, {"gzip"});
      if (!coding.empty() && coding != "gzip") std::abort();
    }
  }
  return 0;
}
