// SPDX-License-Identifier: Apache-2.0
// `casemate audit verify`: whether the audit log is whole.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli {

void add_audit(CLI::App& app, int& exit_code);

}  // namespace casemate::cli
