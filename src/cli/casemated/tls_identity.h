// SPDX-License-Identifier: Apache-2.0
// The platform's certificate authority and the server certificate under it, in files.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "net/http_server.h"
#include "os/file.h"

namespace casemate::cli::casemated {

// load_tls_identity gives the server's certificate and key from `folder` (ca.pem, ca.key, server.pem, server.key; keys
// 0600), making what is missing: the authority, for ten years, once; the server certificate when it is missing, lacks
// a name, is not of this authority, or expires within 30 days. Errors: kDenied (a key that others may read),
// kMalformed, kUnavailable (the authority has expired: remove it), those of os/file.h.
Result<net::TlsIdentity> load_tls_identity(const os::Path& folder, const std::vector<std::string>& names, WallTime now);

// server_names are what clients of the region's services call us.
std::vector<std::string> server_names(const std::string& region);

}  // namespace casemate::cli::casemated
