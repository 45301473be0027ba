// SPDX-License-Identifier: Apache-2.0
// Where the platform keeps its state and its run files.
#pragma once

#include "os/file.h"

namespace casemate::os {

// Paths of one platform. `home` outlives a reboot; `run` need not.
struct Paths {
  Path home;  // CASEMATE_HOME, else ${XDG_STATE_HOME:-~/.local/state}/casemate
  Path run;   // CASEMATE_RUN_DIR, else ${XDG_RUNTIME_DIR:-/tmp/casemate-UID}/casemate

  Path fabric() const { return run / "vsock"; }
  Path enclaves() const { return run / "enclaves"; }
  Path proxies() const { return run / "proxies"; }
  Path endpoints() const { return run / "endpoints.json"; }
  Path casemated_pid() const { return run / "casemated.pid"; }
  Path platform() const { return home / "platform.json"; }
  Path pki() const { return home / "pki"; }
  Path ca_certificate() const { return home / "ca" / "ca.pem"; }
  Path credentials() const { return home / "credentials"; }
  // What can be made again: measured images, unpacked roots.
  Path measured_images() const { return home / "cache" / "images"; }
  Path unpacked_roots() const { return home / "cache" / "roots"; }
  Path audit() const { return home / "audit.jsonl"; }
};

// paths_from_environment makes relative settings absolute. Errors: kNotFound when neither the variables nor a home
// folder say where.
Result<Paths> paths_from_environment();

// Platform: what the local platform stands in for (platform.json).
struct Platform {
  std::string account;      // 12 digits
  std::string region;       // us-east-1
  std::string role_arn;     // of the parent instance; empty for none
  std::string instance_id;  // i-0123456789abcdef0
};

// load_platform reads platform.json; kNotFound when the platform was never brought up here, kMalformed naming the member.
Result<Platform> load_platform(const Paths& paths);
Result<void> save_platform(const Paths& paths, const Platform& platform);

}  // namespace casemate::os
