// SPDX-License-Identifier: Apache-2.0
// The NSM of one enclave, with leaf certificates of the local hierarchy.
#pragma once

#include "os/paths.h"
#include "runtime/launch.h"

namespace casemate::cli::enclave {

// make_nsm builds an enclave's device over the hierarchy in `paths.pki()`, which is made if there is none yet, with the
// faults that were asked for. `clock` and
// `rng` outlive the handler. Errors: those of pki/store.h.
Result<runtime::NsmHandler> make_nsm(const os::Paths& paths, const runtime::NsmIdentity& identity, const Clock& clock, Rng& rng);

}  // namespace casemate::cli::enclave
