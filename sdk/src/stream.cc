// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace casemate::sdk {

Result<void> wait_for(int fd, short events, const Deadline& deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(deadline.left().count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return errno_error("poll");
    if (deadline.passed()) return unavailable("no answer in time");
  }
}

Result<std::size_t> read_some(int fd, std::span<std::uint8_t> out, const Deadline& deadline) {
  for (;;) {
    const ssize_t count = ::recv(fd, out.data(), out.size(), MSG_DONTWAIT);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN) {
      TRY(wait_for(fd, POLLIN, deadline));
    } else if (errno != EINTR) {
      return errno_error("receive");
    }
  }
}

Result<void> write_all(int fd, ByteView data, const Deadline& deadline) {
  while (!data.empty()) {
    const ssize_t count = ::send(fd, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      data = data.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      TRY(wait_for(fd, POLLOUT, deadline));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return unavailable("send: the peer closed the connection");
    } else if (errno != EINTR) {
      return errno_error("send");
    }
  }
  return {};
}

Result<std::size_t> FdStream::read_some(std::span<std::uint8_t> out, const Deadline& deadline) {
  return sdk::read_some(fd_.get(), out, deadline);
}

Result<void> FdStream::write_all(ByteView data, const Deadline& deadline) {
  return sdk::write_all(fd_.get(), data, deadline);
}

bool FdStream::idle() const {
  pollfd entry{fd_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 0;
}

Result<void> finish_connect(int fd, std::string_view what, const Deadline& deadline) {
  TRY(wait_for(fd, POLLOUT, deadline).in(what));
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno_error(what);
  if (error != 0) return errno_error(what, error);
  return {};
}

}  // namespace casemate::sdk
