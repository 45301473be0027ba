// SPDX-License-Identifier: Apache-2.0
// casemate backup, restore and rewrap: the key service's database and root key as files.
#pragma once

namespace CLI {
class App;
}

namespace casemate::cli {

void add_vault(CLI::App& app, int& exit_code);

}  // namespace casemate::cli
