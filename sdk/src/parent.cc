// SPDX-License-Identifier: Apache-2.0
#include "casemate/parent.h"

#include <filesystem>

#include "fabric/fabric.h"
#include "os/paths.h"

namespace casemate::parent {

Result<UniqueFd> connect(const vsock::Address& enclave, std::chrono::milliseconds timeout) {
  const auto paths = os::paths_from_environment();
  std::error_code ignored;
  if (paths && std::filesystem::is_directory(paths->fabric(), ignored)) {
    auto connected = fabric::connect(paths->fabric(), fabric::kParentCid, {enclave.cid, enclave.port},
                                     fabric::Type::kStream, fabric::Blocking::kNo);
    return std::move(connected).in("enclave");
  }
  return vsock::connect(enclave, timeout).in("enclave");
}

}  // namespace casemate::parent
