// SPDX-License-Identifier: Apache-2.0
// `casemate console`: opens the web console in a browser, signed in by a one-time link.
#pragma once

#include <string>

#include "base/result.h"
#include "os/paths.h"

namespace CLI {
class App;
}

namespace casemate::cli {

void add_console(CLI::App& app, int& exit_code);

// console_url asks casemated, as the administrator, for a link that signs a browser in once, within two minutes. The token
// is in the fragment, which browsers keep to themselves. Errors: kUnavailable (the platform is not up, or does not
// serve the console), kDenied.
Result<std::string> console_url(const os::Paths& paths);

}  // namespace casemate::cli
