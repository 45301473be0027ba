// SPDX-License-Identifier: Apache-2.0
#include "proxy/listener.h"

#include <sys/socket.h>
// After sys/socket.h: the kernel's header leaves sa_family_t to it.
#include <linux/vm_sockets.h>

#include <cerrno>

#include "fabric/fabric.h"

namespace casemate::proxy {
namespace {

constexpr int kBacklog = 1024;

class FabricListener final : public VsockListener {
 public:
  explicit FabricListener(fabric::Listener listener) : listener_(std::move(listener)) {}
  int fd() const override { return listener_.fd(); }
  std::string peer(int accepted) const override {
    const auto address = fabric::peer_address(accepted);
    return address.ok() ? fmt::format("{}:{}", address->cid, address->port) : "unknown";
  }

 private:
  fabric::Listener listener_;
};

class KernelListener final : public VsockListener {
 public:
  explicit KernelListener(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const override { return fd_.get(); }
  std::string peer(int accepted) const override {
    sockaddr_vm address{};
    socklen_t size = sizeof address;
    if (::getpeername(accepted, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
    return fmt::format("{}:{}", address.svm_cid, address.svm_port);
  }

 private:
  UniqueFd fd_;
};

Result<std::unique_ptr<VsockListener>> open_kernel(std::uint32_t port) {
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("no AF_VSOCK sockets on this machine");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = kProxyCid;
  address.svm_port = port;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) return conflict("address in use");
    if (errno == EADDRNOTAVAIL) return unavailable("this machine is no Nitro parent, and no local platform is up");
    return errno_error("bind");
  }
  if (::listen(fd.get(), kBacklog) != 0) return errno_error("listen");
  return std::unique_ptr<VsockListener>(std::make_unique<KernelListener>(std::move(fd)));
}

Result<std::unique_ptr<VsockListener>> open_fabric(const std::string& fabric, std::uint32_t port) {
  auto listener = TRY(fabric::listen(fabric, kProxyCid, port, fabric::Type::kStream, kBacklog, fabric::Blocking::kNo));
  return std::unique_ptr<VsockListener>(std::make_unique<FabricListener>(std::move(listener)));
}

}  // namespace

Transport choose_transport(const Surroundings& surroundings) {
  if (!surroundings.run_dir_exists) return Transport::kKernel;
  if (surroundings.nitro_device_exists && !surroundings.run_dir_named) return Transport::kKernel;
  return Transport::kFabric;
}

Result<std::unique_ptr<VsockListener>> open_listener(Transport transport, const std::string& fabric,
                                                     std::uint32_t port) {
  return (transport == Transport::kFabric ? open_fabric(fabric, port) : open_kernel(port))
      .in(fmt::format("Could not bind to cid: {} port: {}", kProxyCid, port));
}

}  // namespace casemate::proxy
