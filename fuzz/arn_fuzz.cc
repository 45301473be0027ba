// SPDX-License-Identifier: Apache-2.0
// ARNs, principals and wildcard patterns. The first line is a pattern, the rest the text.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "iam/arn.h"
#include "iam/condition.h"
#include "iam/pattern.h"
#include "iam/principal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::iam;
  const std::string_view input = as_text({data, size});
  const std::size_t line = input.find('\n');
  const std::string_view pattern = input.substr(0, line);
  const std::string_view text = line == std::string_view::npos ? std::string_view{} : input.substr(line + 1);
  if (const auto arn = parse_arn(text)) {
    const std::string again = fmt::format("arn:{}:{}:{}:{}:{}", arn->partition, arn->service, arn->region, arn->account, arn->resource);
    if (again != text) std::abort();
  }
  if (const auto principal = principal_of(text)) {
    if (naming_of({PrincipalKind::kAws, principal->arn}, *principal) == Naming::kNone &&
        principal->type != PrincipalType::kService) {
      std::abort();
    }
  }
  (void)check_principal_name({PrincipalKind::kAws, std::string(text)}).ok();
  const std::string compiled = compile_wildcards(pattern);
  const bool matched = match_wildcards(compiled, text);
  if (matched != Pattern(compiled).matches(text)) std::abort();
  // Where text is no UTF-8, what one character is depends on the side from which it is met.
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  if (ascii && match_wildcards(compiled + kStarByte, text) < matched) std::abort();
  (void)match_arn(compiled, text, ArnShape::kAny);
  (void)parse_ip_range(text);
  (void)parse_date(text);
  (void)parse_number(text);
  return 0;
}
