// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/explain.h"

#include <memory>

#include <CLI/CLI.hpp>

namespace casemate::cli::nitro {
namespace {

int run(const std::string& text) {
  const auto code = find_code(text);
  if (!code) {
    return report({ECode::kInvalidArgument, not_found("error code {}: want E00 to E{:02}", text, all_codes().size() - 1), "Explain Error", {}});
  }
  fmt::print("{}\n", explanation(info(*code)));
  return 0;
}

}  // namespace

std::string explanation(const CodeInfo& code) { return fmt::format("{}: {}\n{}", code_text(code.code), code.title, code.meaning); }

void add_explain(CLI::App& app, int& exit_code) {
  auto code = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("explain", "Displays detailed information about an error that a command returned");
  verb->add_option("--error-code", *code, "Error code, as returned by the command: E26")->required();
  verb->callback([code, &exit_code] { exit_code = run(*code); });
}

}  // namespace casemate::cli::nitro
