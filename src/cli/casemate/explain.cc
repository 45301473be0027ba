// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/explain.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "audit/files.h"
#include "iam/trace.h"
#include "os/paths.h"

namespace casemate::cli {
namespace {

struct ExplainOptions {
  audit::EventQuery query;
  bool last = false;
  bool json = false;
  std::string log;
};

std::string text_or(const json::Value& event, std::string_view name, std::string_view otherwise) {
  const std::string* text = event.string_at(name);
  return text == nullptr ? std::string(otherwise) : *text;
}

Result<json::Value> load_event(const ExplainOptions& options) {
  os::Path path = options.log;
  if (options.log.empty()) path = TRY(os::paths_from_environment()).audit();
  return audit::find_event_in(path, options.query);
}

Result<void> run_explain(const ExplainOptions& options) {
  const json::Value event = TRY(load_event(options));
  const auto lines = explain_event(event);
  std::string out;
  if (options.json) {
    json::Array words(lines.begin(), lines.end());
    const json::Value* decision = audit::decision_of(event);
    json::Object answer;
    for (const char* name : {"requestID", "eventTime", "eventName", "errorCode", "errorMessage"}) {
      if (const json::Value* value = event.find(name)) answer.set(name, *value);
    }
    answer.set("decision", decision == nullptr ? json::Value() : *decision);
    answer.set("explanation", std::move(words));
    out = json::encode_pretty(answer) + "\n";
  } else {
    for (const std::string& line : lines) out.append(line).append("\n");
  }
  return os::write_all(STDOUT_FILENO, as_bytes(out));
}

}  // namespace

std::vector<std::string> explain_event(const json::Value& event) {
  std::vector<std::string> out;
  out.push_back(fmt::format("{} {} (request {})", text_or(event, "eventTime", "?"), text_or(event, "eventName", "?"),
                            text_or(event, "requestID", "?")));
  const json::Value* decision = audit::decision_of(event);
  if (decision == nullptr) {
    const std::string* code = event.string_at("errorCode");
    if (code == nullptr) {
      out.emplace_back("The request was allowed.");
    } else {
      out.push_back(fmt::format("The request failed with {}{}{}.", *code, event.string_at("errorMessage") ? ": " : "",
                                text_or(event, "errorMessage", "")));
      out.emplace_back("No policy decided that.");
    }
    return out;
  }
  const auto trace = iam::trace_from_json(*decision);
  if (!trace) {
    out.push_back(fmt::format("The event's decision cannot be read: {}.", trace.error().message()));
    return out;
  }
  for (std::string& line : iam::explain(*trace)) out.push_back(std::move(line));
  return out;
}

void add_explain(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = app.add_subcommand("explain", "Say why a request was denied");
  command->add_option("REQUEST_ID", options->query.request_id, "x-amzn-RequestId of the answer");
  command->add_flag("--last", options->last, "The newest request instead");
  command->add_flag("--denied", options->query.denied_only, "Only requests that were denied");
  command->add_flag("--json", options->json, "The decision and its explanation as JSON");
  command->add_option("--log", options->log, "Audit log (CASEMATE_HOME/audit.jsonl)");
  command->callback([options, &exit_code] {
    if (options->last == !options->query.request_id.empty()) {
      throw CLI::ValidationError("explain", "want either REQUEST_ID or --last");
    }
    const auto done = run_explain(*options);
    if (done.ok()) return;
    exit_code = 1;
    const auto written =
        os::write_all(STDERR_FILENO, as_bytes(fmt::format("casemate explain: {}\n", done.error().message())));
    if (!written.ok()) exit_code = 2;
  });
}

}  // namespace casemate::cli
