// SPDX-License-Identifier: Apache-2.0
// `casemate pki`: init, show, rotate, export of the local attestation hierarchy.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli {

// add_pki adds the verb; its callbacks print and set `exit_code`: 0 done, 1 failed.
void add_pki(CLI::App& app, int& exit_code);

}  // namespace casemate::cli
