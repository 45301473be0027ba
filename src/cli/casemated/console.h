// SPDX-License-Identifier: Apache-2.0
// The web console as casemated serves it: where the page is, who may sign in, and as what.
#pragma once

#include <memory>

#include "audit/trail.h"
#include "cli/casemated/options.h"
#include "console/service.h"
#include "identity/directory.h"

namespace casemate::cli::casemated {

// ConsoleParts must outlive the console.
struct ConsoleParts {
  identity::Directory& directory;
  audit::Trail& audit;
  const Clock& clock;
  Rng& rng;
  Log log;
};

// make_console finds the page beside the programs, or where it is installed, unless the options say where. A page that
// was not built is logged and otherwise harmless.
std::unique_ptr<console::Service> make_console(const Options& options, const os::Paths& paths,
                                               const os::Platform& platform, attestation::TrustAnchors trust,
                                               ConsoleParts parts);

}  // namespace casemate::cli::casemated
