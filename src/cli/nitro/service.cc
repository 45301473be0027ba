// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/service.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/fd.h"

namespace casemate::cli::nitro {

Result<void> tell_service_manager(const json::Value& shown) {
  const char* variable = std::getenv("NOTIFY_SOCKET");
  if (variable == nullptr || *variable == '\0') return {};
  const std::string path = variable;
  const std::int64_t* pid = shown.int_at("ProcessID");
  const std::string* id = shown.string_at("EnclaveID");
  if (pid == nullptr || id == nullptr) return internal("NOTIFY_SOCKET: no ProcessID and EnclaveID to tell");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((path.front() != '/' && path.front() != '@') || path.size() >= sizeof address.sun_path)
    return unsupported("NOTIFY_SOCKET: `{}`, want an absolute path or @name", path.substr(0, 64));
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("NOTIFY_SOCKET");
  const std::string message = fmt::format("READY=1\nMAINPID={}\nSTATUS=enclave {}\n", *pid, *id);
  if (::sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size) < 0)
    return errno_error("NOTIFY_SOCKET");
  return {};
}

}  // namespace casemate::cli::nitro
