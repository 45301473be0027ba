// SPDX-License-Identifier: Apache-2.0
// The local attestation hierarchy on disk. Each level is one file `<level>.key`, mode 0600, with its certificate and
// its key in PEM, so that the two are always replaced together; `root.pem` is the root's certificate alone, for
// verifiers. A lock file serializes the processes that share the folder.
#pragma once

#include "attestation/hierarchy.h"
#include "os/file.h"

namespace casemate::pki {

// init makes a hierarchy in `folder` (created, 0700). It never replaces one. Errors: kConflict (there is one), those of
// os/file.h.
Result<void> init(const os::Path& folder, const attestation::HierarchyNames& names, WallTime now, Rng& rng);

// load reads what is there; a level that is missing or does not belong to the one above is left out, with all below
// it. Errors: kNotFound (no hierarchy: init), kDenied (a key that others may read), kMalformed, kUntrusted (root).
Result<attestation::Hierarchy> load(const os::Path& folder, const attestation::HierarchyNames& names);

// load_current loads and renews, on disk too, the levels that are missing, too old to use or of other names.
Result<attestation::Hierarchy> load_current(const os::Path& folder, const attestation::HierarchyNames& names, WallTime now, Rng& rng);

// rotate renews every level below the root. Returns the levels renewed.
Result<std::vector<attestation::Level>> rotate(const os::Path& folder, const attestation::HierarchyNames& names, WallTime now, Rng& rng);

// root_pem is the certificate that a verifier is to trust as `local`. Errors: kNotFound.
Result<std::string> root_pem(const os::Path& folder);

// leaf_source gives an enclave's LeafIssuer its leaves, each under the hierarchy as it then is on disk. `rng` outlives it.
attestation::LeafIssuer::Issue leaf_source(os::Path folder, attestation::HierarchyNames names, std::string module_id, Rng& rng);

}  // namespace casemate::pki
