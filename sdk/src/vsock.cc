// SPDX-License-Identifier: Apache-2.0
#include "casemate/vsock.h"

#include <poll.h>
#include <sys/socket.h>
// linux/vm_sockets.h needs sys/socket.h before it.
#include <linux/vm_sockets.h>

#include <cerrno>

#include "sdk/src/stream.h"

namespace casemate::vsock {
namespace {

sockaddr_vm system_address(std::uint32_t cid, std::uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

const sockaddr* generic(const sockaddr_vm& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Error connect_error(const std::string& what, int number) {
  // The kernel says ECONNRESET where nobody listens, ENODEV or EHOSTUNREACH where there is no such CID.
  switch (number) {
    case ECONNRESET:
    case ECONNREFUSED: return unavailable("{}: nothing listens there", what);
    case ENODEV:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL: return not_found("{}: no such CID", what);
    case EAFNOSUPPORT: return not_found("{}: this kernel has no AF_VSOCK", what);
    default: return errno_error(what, number);
  }
}

}  // namespace

std::string to_string(const Address& address) {
  return fmt::format("CID {} port {}", address.cid, address.port);
}

Result<UniqueFd> connect(const Address& address, std::chrono::milliseconds timeout) {
  const sdk::Deadline deadline(timeout);
  const std::string what = "vsock " + to_string(address);
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return connect_error(what, errno);
  const sockaddr_vm peer = system_address(address.cid, address.port);
  if (::connect(fd.get(), generic(peer), sizeof peer) == 0) return fd;
  if (errno != EINPROGRESS && errno != EINTR) return connect_error(what, errno);

  TRY(sdk::wait_for(fd.get(), POLLOUT, deadline).in(what));
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno_error(what);
  if (error != 0) return connect_error(what, error);
  return fd;
}

Result<UniqueFd> listen(std::uint32_t port, int backlog) {
  const std::string what = fmt::format("vsock port {}", port);
  UniqueFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(what);
  const sockaddr_vm self = system_address(VMADDR_CID_ANY, port);
  if (::bind(fd.get(), generic(self), sizeof self) != 0) return errno_error(what);
  if (::listen(fd.get(), backlog) != 0) return errno_error(what);
  return fd;
}

}  // namespace casemate::vsock
