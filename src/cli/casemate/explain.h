// SPDX-License-Identifier: Apache-2.0
// `casemate explain`: why a request was denied, out of the audit log.
#pragma once

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

// explain_event says what an event was and why it came out so. Lines have no line ends.
std::vector<std::string> explain_event(const json::Value& event);

}  // namespace casemate::cli
