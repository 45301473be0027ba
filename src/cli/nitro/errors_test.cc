// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/errors.h"

#include <gmock/gmock.h>

namespace casemate::cli::nitro {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(NitroErrors, TableIsIndexedByNumber) {
  ASSERT_EQ(all_codes().size(), 61U);
  for (std::size_t i = 0; i < all_codes().size(); ++i) EXPECT_EQ(static_cast<std::size_t>(all_codes()[i].code), i);
}

TEST(NitroErrors, EveryCodeHasTitleAndMeaning) {
  for (const CodeInfo& code : all_codes()) {
    EXPECT_FALSE(code.title.empty());
    EXPECT_TRUE(code.meaning.ends_with('.') || code.meaning.ends_with('?')) << code_text(code.code);
  }
}

TEST(NitroErrors, FindsCodesAsUsersWriteThem) {
  EXPECT_EQ(find_code("E26"), ECode::kInsufficientMemoryRequested);
  EXPECT_EQ(find_code("e05"), ECode::kProcessSpawn);
  EXPECT_EQ(find_code("44"), ECode::kConsoleConnection);
  EXPECT_EQ(find_code("E61"), std::nullopt);
  EXPECT_EQ(find_code("E"), std::nullopt);
  EXPECT_EQ(find_code("E2x"), std::nullopt);
}

TEST(NitroErrors, ExitStatusIsTheNumberAndNeverZero) {
  EXPECT_EQ(exit_status(ECode::kConsoleConnection), 44);
  EXPECT_EQ(exit_status(ECode::kUnspecified), 1);
}

TEST(NitroErrors, FirstLineNamesCodeAndCause) {
  const Failure failure{ECode::kInsufficientMemoryRequested, over_limit("--memory: 5 MiB, want at least 44 MiB"),
                        "Run Enclave", {"check the memory"}};
  const std::string text = describe(failure, "/logs/err.log", ShowBacktrace::kNo);
  EXPECT_THAT(text, StartsWith("[ E26 ] Insufficient memory requested: --memory: 5 MiB, want at least 44 MiB\n"));
  EXPECT_THAT(text, HasSubstr("cli-errors.html#E26"));
  EXPECT_THAT(text, HasSubstr("the error log found at \"/logs/err.log\""));
  EXPECT_THAT(text, Not(HasSubstr("Backtrace")));
}

TEST(NitroErrors, BacktraceShowsTheSteps) {
  const Failure failure{ECode::kEifParsing, malformed("header: 3 bytes, want 548"), "Run Enclave", {"open a.eif"}};
  const std::string text = describe(failure, "", ShowBacktrace::kYes);
  EXPECT_THAT(text, HasSubstr("Action: Run Enclave\n  Subactions:\n    open a.eif\n    header: 3 bytes, want 548"));
  EXPECT_THAT(text, Not(HasSubstr("support ticket")));
}

}  // namespace
}  // namespace casemate::cli::nitro
