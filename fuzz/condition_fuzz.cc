// SPDX-License-Identifier: Apache-2.0
// Conditions. Lines: operator, key, value of the policy, value of the request (`-` for none; more lines make a list).
// IfExists is the condition or an absent key; a negated operator is the opposite of its positive one where both can read
// the values; a second evaluation gives the same.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "iam/condition.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::iam;
  std::string_view rest = as_text({data, size});
  std::vector<std::string> lines;
  while (lines.size() < 8) {
    const std::size_t end = rest.find('\n');
    lines.emplace_back(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (lines.size() < 4) return 0;
  const auto name = parse_operator(lines[0]);
  if (!name) return 0;
  const auto again = parse_operator(to_string(*name));
  if (!again || to_string(*again) != to_string(*name)) std::abort();

  RequestContext context;
  context.set("aws:username", "alice");
  const std::vector<std::string> presented(lines.begin() + 3, lines.end());
  const bool absent = presented.size() == 1 && presented.front() == "-";
  if (!absent && presented.size() == 1) context.set(lines[1], presented.front());
  if (!absent && presented.size() > 1) context.set_list(lines[1], presented);

  const auto condition = compile_condition(*name, lines[1], {lines[2]}, Variables::kActive);
  if (!condition) return 0;
  const bool held = holds(*condition, context);
  if (held != holds(*condition, context)) std::abort();
  if (name->op == Operator::kNull) return 0;
  OperatorName if_exists = *name;
  if_exists.if_exists = true;
  const auto lenient = compile_condition(if_exists, lines[1], {lines[2]}, Variables::kActive);
  if (!lenient) std::abort();
  const bool there = context.find(fold(lines[1])) != nullptr;
  if (there && holds(*lenient, context) != holds(*condition, context)) std::abort();
  if (!there && !holds(*lenient, context)) std::abort();
  return 0;
}
