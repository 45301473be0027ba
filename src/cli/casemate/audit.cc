// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/audit.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "audit/files.h"
#include "os/paths.h"

namespace casemate::cli {
namespace {

struct AuditOptions {
  std::string log;
  std::string expected;  // SEQUENCE:HASH noted earlier
  bool json = false;
};

Result<void> check_expected(const std::string& expected, const audit::Verified& verified) {
  if (expected.empty()) return {};
  const std::string found = fmt::format("{}:{}", verified.last.sequence, verified.last.hash);
  if (expected != found) return untrusted("the log ends in {}, want {}", found, expected.substr(0, 96));
  return {};
}

Result<void> run_verify(const AuditOptions& options) {
  os::Path path = options.log;
  if (options.log.empty()) path = TRY(os::paths_from_environment()).audit();
  const audit::Verified verified = TRY(audit::verify_files(path));
  TRY(check_expected(options.expected, verified));
  const json::Value shown = json::Object{{"events", verified.events},
                                         {"files", std::uint64_t{verified.files}},
                                         {"first", verified.first_sequence},
                                         {"last", verified.last.sequence},
                                         {"hash", verified.last.hash}};
  std::string out = json::encode_pretty(shown) + "\n";
  if (!options.json) {
    out = fmt::format("{} events in {} {}, {} to {}: the chain is whole.\nhead {}:{}\n", verified.events, verified.files,
                      verified.files == 1 ? "file" : "files", verified.first_sequence, verified.last.sequence,
                      verified.last.sequence, verified.last.hash);
    if (verified.first_sequence > 1) out += "Older files were deleted: the chain begins after them.\n";
  }
  return os::write_all(STDOUT_FILENO, as_bytes(out));
}

}  // namespace

void add_audit(CLI::App& app, int& exit_code) {
  CLI::App* audit = app.add_subcommand("audit", "Check the audit log");
  audit->require_subcommand(1);
  auto options = std::make_shared<AuditOptions>();
  CLI::App* verify = audit->add_subcommand("verify", "Recompute the chain of hashes; exits 1 when a byte was changed");
  verify->add_option("--log", options->log, "Audit log (CASEMATE_HOME/audit.jsonl)");
  verify->add_option("--head", options->expected, "SEQUENCE:HASH that an earlier run printed and that must be the end");
  verify->add_flag("--json", options->json, "Print JSON");
  verify->callback([options, &exit_code] {
    const auto done = run_verify(*options);
    if (done.ok()) return;
    exit_code = 1;
    const auto written =
        os::write_all(STDERR_FILENO, as_bytes(fmt::format("casemate audit verify: {}\n", done.error().message())));
    if (!written.ok()) exit_code = 2;
  });
}

}  // namespace casemate::cli
