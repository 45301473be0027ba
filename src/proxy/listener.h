// SPDX-License-Identifier: Apache-2.0
// Where the proxy listens: on the local platform's fabric or on the kernel's AF_VSOCK.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace casemate::proxy {

// The parent's CID (VSOCK_PROXY_CID of AWS's proxy).
inline constexpr std::uint32_t kProxyCid = 3;

enum class Transport { kFabric, kKernel };

// Surroundings is what the choice depends on.
struct Surroundings {
  bool run_dir_named = false;  // CASEMATE_RUN_DIR is set
  bool run_dir_exists = false;
  bool nitro_device_exists = false;  // /dev/nitro_enclaves: an EC2 parent
};

// choose_transport: the fabric where the platform's run folder is, unless this is an EC2 parent and nobody named the
// folder; the kernel otherwise.
Transport choose_transport(const Surroundings& surroundings);

class VsockListener {
 public:
  virtual ~VsockListener() = default;
  virtual int fd() const = 0;  // non-blocking
  // peer says who connected, as `CID:PORT`.
  virtual std::string peer(int accepted) const = 0;
};

// open_listener listens at (3, port). `fabric` is the fabric's folder. Errors begin as AWS's do: `Could not bind to
// cid: 3 port: 8000: ...`; kConflict when the port is in use.
Result<std::unique_ptr<VsockListener>> open_listener(Transport transport, const std::string& fabric,
                                                     std::uint32_t port);

}  // namespace casemate::proxy
