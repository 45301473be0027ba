// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/policy.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "base/encoding.h"
#include "cli/casemate/output.h"
#include "eif/reader.h"
#include "iam/diff.h"
#include "iam/lint.h"
#include "iam/simulate.h"
#include "iam/trace.h"
#include "identity/state_json.h"
#include "os/paths.h"

namespace casemate::cli {
namespace {

constexpr std::size_t kInputLimit = 64 * 1024 * 1024;

int report(std::string_view command, const Error& error) {
  const auto written =
      os::write_all(STDERR_FILENO, as_bytes(fmt::format("casemate policy {}: {}\n", command, error.message())));
  return written.ok() ? 1 : 2;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return os::read_file(path, kInputLimit);
  std::string text;
  std::array<std::uint8_t, 65536> piece;
  for (;;) {
    const std::size_t got = TRY(os::read_some(STDIN_FILENO, piece).in("standard input"));
    if (got == 0) return text;
    text.append(as_text(ByteView(piece).first(got)));
    if (text.size() > kInputLimit) return over_limit("standard input: more than {} bytes", kInputLimit);
  }
}

std::string in_words(const json::Value& answer) {
  const json::Value* encoded = answer.find("trace");
  const auto trace = iam::trace_from_json(encoded == nullptr ? json::Value() : *encoded);
  if (!trace) return json::encode(answer) + "\n";
  std::string out;
  for (const std::string& line : iam::explain(*trace)) out.append(line).append("\n");
  return out;
}

void simulate_one(Simulated& out, const Result<json::Value>& input, std::string_view name, SimulateForm form) {
  const auto answer = input.ok() ? iam::simulate(*input) : Result<json::Value>(input.error());
  if (!answer) {
    out.failed = true;
    out.output += json::encode(json::Object{{"error", fmt::format("{}: {}", name, answer.error().message())}}) + "\n";
    return;
  }
  if (form == SimulateForm::kJson) {
    out.output += json::encode(*answer) + "\n";
    return;
  }
  if (!out.output.empty()) out.output += '\n';
  out.output += in_words(*answer);
}

// ---- lint

struct LintOptions {
  std::string file = "-";
  std::string type = "key";
};

iam::PolicyType type_of(const std::string& name) {
  if (name == "identity") return iam::PolicyType::kIdentity;
  return name == "trust" ? iam::PolicyType::kTrust : iam::PolicyType::kResource;
}

// known_identities reads the platform's identities, when there are any.
Result<std::optional<identity::State>> known_identities() {
  const auto paths = os::paths_from_environment();
  if (!paths.ok()) return std::optional<identity::State>();
  const os::Path file = paths->home / "identity.json";
  const auto text = os::read_file(file, identity::kLongestState);
  if (!text.ok() && text.error().code() == ErrorCode::kNotFound) return std::optional<identity::State>();
  return std::optional<identity::State>(TRY(identity::parse_state(TRY(text), nullptr).in(file.native())));
}

Result<bool> run_lint(const LintOptions& options) {
  const std::string text = TRY(read_input(options.file));
  const iam::PolicyType type = type_of(options.type);
  const iam::PolicyPtr policy = TRY(iam::parse_policy(text, type));
  const auto state = TRY(known_identities());
  iam::LintOptions known;
  if (state) known.exists = [&](const iam::PrincipalName& name) { return identity::principal_exists(*state, name); };
  const auto findings = iam::lint_policy(*policy, type, known);
  std::string out;
  for (const iam::Finding& finding : findings) {
    const bool error = finding.severity == iam::Severity::kError;
    out += fmt::format("{} {} {}: {}\n", error ? "error" : "warning", finding.code, finding.where, finding.what);
  }
  TRY(print(out));
  return findings.empty();
}

// ---- diff

struct DiffOptions {
  std::string before;
  std::string after;
  std::string type = "key";
  std::string account = "111122223333";
  bool json = false;
};

json::Value diff_json(const iam::Difference& difference) {
  json::Array changes;
  for (const iam::Change& change : difference.changes) {
    changes.emplace_back(json::Object{{"becomes", change.becomes == iam::Becomes::kAllowed ? "Allowed" : "Denied"},
                                      {"principal", change.principal},
                                      {"actions", json::Array(change.actions.begin(), change.actions.end())},
                                      {"resource", change.resource},
                                      {"when", json::Array(change.when.begin(), change.when.end())}});
  }
  return json::Object{{"changes", std::move(changes)}, {"complete", difference.complete}};
}

std::string diff_text(const iam::Difference& difference) {
  std::string out;
  for (const iam::Change& change : difference.changes) {
    out += fmt::format("becomes {}: {}\n", change.becomes == iam::Becomes::kAllowed ? "allowed" : "denied", change.principal);
    out += "  actions:  ";
    for (std::size_t i = 0; i < change.actions.size(); ++i) out += (i == 0 ? "" : ", ") + change.actions[i];
    out += fmt::format("\n  resource: {}\n", change.resource);
    for (const std::string& when : change.when) out += fmt::format("  when:     {}\n", when);
  }
  if (difference.changes.empty()) out += "no difference\n";
  if (!difference.complete) out += "not every combination of conditions was tried\n";
  return out;
}

Result<bool> run_diff(const DiffOptions& options) {
  const iam::PolicyType type = type_of(options.type);
  const auto load = [&](const std::string& path) -> Result<iam::PolicyPtr> {
    return iam::parse_policy(TRY(read_input(path)), type).in(path);
  };
  const iam::PolicyPtr before = TRY(load(options.before));
  const iam::PolicyPtr after = TRY(load(options.after));
  const iam::Difference difference = iam::diff_policies(*before, *after, type, options.account);
  TRY(print(options.json ? json::encode_pretty(diff_json(difference)) + "\n" : diff_text(difference)));
  return difference.changes.empty();
}

// ---- generate

struct GenerateOptions {
  std::string principal;
  std::string account;
  std::vector<std::string> registers;  // N=HEX
  std::vector<std::string> images;     // EIF files
  std::vector<unsigned> wanted = {0};  // registers to take from the images
};

using RegisterValues = std::vector<std::pair<unsigned, std::vector<std::string>>>;

void add_value(RegisterValues& values, unsigned number, std::string value) {
  auto it = std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == number; });
  if (it == values.end()) it = values.insert(values.end(), {number, {}});
  if (std::find(it->second.begin(), it->second.end(), value) == it->second.end()) it->second.push_back(std::move(value));
}

Result<void> add_given(RegisterValues& values, const std::string& text) {
  const std::size_t equals = text.find('=');
  unsigned number = 0;
  const char* end = text.data() + std::min(equals, text.size());
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (equals == std::string::npos || error != std::errc() || stop != end) return malformed("--pcr {}: want N=HEX", text);
  add_value(values, number, text.substr(equals + 1));
  return {};
}

Result<void> add_image(RegisterValues& values, const std::string& path, const std::vector<unsigned>& wanted) {
  const UniqueFd file = TRY(os::open(path, O_RDONLY));
  os::FdSource source(file.get(), 0, std::numeric_limits<std::int64_t>::max());
  const eif::Image image = TRY(eif::inspect(source).in(path));
  for (const unsigned number : wanted) {
    const auto& measured = image.measurements;
    if (number == 8 && !measured.pcr8) return malformed("{}: not signed, so that there is no PCR8", path);
    if (number > 2 && number != 8) return unsupported("--registers {}: an image has 0, 1, 2 and 8", number);
    const eif::Sha384& value = number == 0 ? measured.pcr0 : number == 1 ? measured.pcr1 : number == 2 ? measured.pcr2 : *measured.pcr8;
    add_value(values, number, encode_hex(value));
  }
  return {};
}

Result<void> run_generate(const GenerateOptions& options) {
  iam::GenerateOptions wanted;
  wanted.principal = options.principal;
  wanted.account = options.account;
  for (const std::string& text : options.registers) TRY(add_given(wanted.registers, text));
  for (const std::string& path : options.images) TRY(add_image(wanted.registers, path, options.wanted));
  return print(TRY(iam::generate_key_policy(wanted)) + "\n");
}

void add_simulate(CLI::App& policy, int& exit_code) {
  struct Options {
    std::string file = "-";
    bool words = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = policy.add_subcommand("simulate", "Decide hypothetical requests, given as JSON or JSON lines");
  command->add_option("FILE", options->file, "Cases; - is standard input")->capture_default_str();
  command->add_flag("--explain", options->words, "Print the reasons in plain words instead of JSON");
  command->callback([options, &exit_code] {
    const auto input = read_input(options->file);
    if (!input) {
      exit_code = report("simulate", input.error());
      return;
    }
    const Simulated done = simulate_text(*input, options->words ? SimulateForm::kWords : SimulateForm::kJson);
    const auto printed = print(done.output);
    exit_code = printed.ok() ? (done.failed ? 1 : 0) : report("simulate", printed.error());
  });
}

void add_lint(CLI::App& policy, int& exit_code) {
  auto options = std::make_shared<LintOptions>();
  CLI::App* command = policy.add_subcommand("lint", "Find mistakes that AWS accepts silently; exits 1 when there are any");
  command->add_option("FILE", options->file, "Policy document; - is standard input")->capture_default_str();
  command->add_option("--type", options->type, "Kind of policy")
      ->check(CLI::IsMember({"key", "identity", "trust"}))
      ->capture_default_str();
  command->callback([options, &exit_code] {
    const auto clean = run_lint(*options);
    exit_code = clean.ok() ? (*clean ? 0 : 1) : report("lint", clean.error());
  });
}

void add_diff(CLI::App& policy, int& exit_code) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* command =
      policy.add_subcommand("diff", "Tell what becomes allowed or denied from one policy to another; exits 1 when anything does");
  command->add_option("BEFORE", options->before, "Policy document; - is standard input")->required();
  command->add_option("AFTER", options->after, "Policy document")->required();
  command->add_option("--type", options->type, "Kind of policy")
      ->check(CLI::IsMember({"key", "identity", "trust"}))
      ->capture_default_str();
  command->add_option("--account", options->account, "Account of the key")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &exit_code] {
    const auto same = run_diff(*options);
    exit_code = same.ok() ? (*same ? 0 : 1) : report("diff", same.error());
  });
}

void add_generate(CLI::App& policy, int& exit_code) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = policy.add_subcommand("generate", "Write a key policy that lets only an enclave decrypt");
  command->add_option("--principal", options->principal, "ARN of the parent's role or user")->required();
  command->add_option("--account", options->account, "Account of the key (the principal's if not given)");
  command->add_option("--pcr", options->registers, "Register and value, N=HEX; may be repeated");
  command->add_option("--eif", options->images, "Image whose registers are let in; may be repeated");
  command->add_option("--registers", options->wanted, "Registers to take from the images")
      ->delimiter(',')
      ->capture_default_str();
  command->callback([options, &exit_code] {
    const auto done = run_generate(*options);
    exit_code = done.ok() ? 0 : report("generate", done.error());
  });
}

}  // namespace

Simulated simulate_text(std::string_view input, SimulateForm form) {
  Simulated out;
  if (auto whole = json::parse(input); whole.ok()) {
    simulate_one(out, whole, "case 1", form);
    return out;
  }
  std::size_t number = 0;
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const std::string_view line = input.substr(0, end);
    input = end == std::string_view::npos ? std::string_view{} : input.substr(end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ++number;
    simulate_one(out, json::parse(line), fmt::format("case {}", number), form);
  }
  if (number == 0) simulate_one(out, malformed("no input"), "case 1", form);
  return out;
}

void add_policy(CLI::App& app, int& exit_code) {
  CLI::App* policy = app.add_subcommand("policy", "Simulate, check and write policies");
  policy->require_subcommand(1);
  add_simulate(*policy, exit_code);
  add_lint(*policy, exit_code);
  add_diff(*policy, exit_code);
  add_generate(*policy, exit_code);
}

}  // namespace casemate::cli
