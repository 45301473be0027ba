// SPDX-License-Identifier: Apache-2.0
// Apart from the rest of the HTTP client, so that a static enclave program without TCP links no resolver.
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "sdk/src/http_client.h"

namespace casemate::sdk {
namespace {

Result<UniqueFd> connect_one(const addrinfo& address, const std::string& what, const Deadline& deadline) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
  if (!fd) return errno_error(what);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return errno_error(what);
  TRY(finish_connect(fd.get(), what, deadline));
  return fd;
}

}  // namespace

Result<UniqueFd> connect_tcp(const std::string& host, std::uint16_t port, const Deadline& deadline) {
  const std::string what = host_header(host, port, 0);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure != 0) return not_found("{}: {}", what, ::gai_strerror(failure));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);

  Error last = unavailable("{}: no address", what);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    auto fd = connect_one(*address, what, deadline);
    if (fd) return fd;
    last = std::move(fd).error();
  }
  return last;
}

}  // namespace casemate::sdk
