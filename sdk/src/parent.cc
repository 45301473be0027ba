// SPDX-License-Identifier: Apache-2.0
#include "casemate/parent.h"

#include <filesystem>

#include "fabric/fabric.h"
#include "os/paths.h"

namespace casemate::parent {
namespace {

class FabricListener final : public Listener {
 public:
  explicit FabricListener(fabric::Listener listener) : listener_(std::move(listener)) {}
  int fd() const override { return listener_.fd(); }

 private:
  fabric::Listener listener_;
};

class KernelListener final : public Listener {
 public:
  explicit KernelListener(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const override { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace

Result<std::unique_ptr<Listener>> listen(std::uint32_t port, int backlog) {
  const auto paths = os::paths_from_environment();
  std::error_code ignored;
  if (paths && std::filesystem::is_directory(paths->fabric(), ignored)) {
    auto listener = TRY(fabric::listen(paths->fabric(), fabric::kParentCid, port, fabric::Type::kStream, backlog, fabric::Blocking::kNo)
                            .in(fmt::format("vsock port {}", port)));
    return std::unique_ptr<Listener>(std::make_unique<FabricListener>(std::move(listener)));
  }
  return std::unique_ptr<Listener>(std::make_unique<KernelListener>(TRY(vsock::listen(port, backlog))));
}

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
