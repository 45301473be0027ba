// SPDX-License-Identifier: Apache-2.0
// The table of misconfigurations: what the page shows is what is printed.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "base/test_matchers.h"
#include "iam/simulate.h"
#include "iam/trace.h"

namespace casemate::iam {
namespace {

std::string read(const char* path) {
  std::ifstream file(std::string(CASEMATE_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

TEST(MisconfigurationTable, ShowsWhatIsPrinted) {
  const std::string page = read("docs/misconfigurations.md");
  const auto cases = json::parse(read("tests/policy/misconfigurations.json"));
  ASSERT_THAT(cases, IsOk());
  ASSERT_NE(cases->if_array(), nullptr);
  EXPECT_GE(cases->array().size(), 40U);
  std::size_t number = 0;
  for (const json::Value& one : cases->array()) {
    ++number;
    const std::string* mistake = one.string_at("mistake");
    const json::Value* input = one.find("input");
    ASSERT_TRUE(mistake != nullptr && input != nullptr) << number;
    const auto answer = simulate(*input);
    ASSERT_THAT(answer, IsOk()) << *mistake;
    EXPECT_NE(*answer->string_at("decision"), "Allowed") << *mistake;
    const auto trace = trace_from_json(*answer->find("trace"));
    ASSERT_THAT(trace, IsOk()) << *mistake;
    std::string block = fmt::format("\n## {}. {}\n\n```text\n", number, *mistake);
    for (const std::string& line : explain(*trace)) block += line + "\n";
    EXPECT_NE(page.find(block + "```\n"), std::string::npos)
        << "run tools/write_misconfigurations.py; case " << number << " is\n"
        << block;
  }
}

}  // namespace
}  // namespace casemate::iam
