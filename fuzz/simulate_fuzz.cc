// SPDX-License-Identifier: Apache-2.0
// Input of `casemate policy simulate`: refused by name or decided, the same each time, and the trace can be read again.
#include <cstdint>
#include <cstdlib>

#include "iam/simulate.h"
#include "iam/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::iam;
  const auto input = json::parse(as_text({data, size}));
  if (!input) return 0;
  const auto answer = simulate(*input);
  if (!answer) {
    if (answer.error().message().empty()) std::abort();
    return 0;
  }
  if (json::encode(*answer) != json::encode(simulate(*input).value())) std::abort();
  const json::Value* encoded = answer->find("trace");
  if (encoded == nullptr) std::abort();
  const auto trace = trace_from_json(*encoded);
  if (!trace || explain(*trace).empty() || to_string(trace->outcome) != *answer->string_at("decision")) std::abort();
  return 0;
}
