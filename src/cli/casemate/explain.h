// SPDX-License-Identifier: Apache-2.0
// `casemate explain`: why a request was denied, out of the audit log.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace CLI {
class App;
}

namespace casemate::cli {

void add_explain(CLI::App& app, int& exit_code);

// EventQuery picks one event of an audit log: a request's, or the newest.
struct EventQuery {
  std::string request_id;     // empty: the newest
  bool denied_only = false;   // of those that a decision refused
};

// find_event reads an audit log from its end; lines that are no JSON are passed over (a torn tail is no reason to keep
// the others from an administrator). Errors: kNotFound.
Result<json::Value> find_event(std::string_view log, const EventQuery& query);

// explain_event says what an event was and why it came out so. Lines have no line ends.
std::vector<std::string> explain_event(const json::Value& event);

}  // namespace casemate::cli
