// SPDX-License-Identifier: Apache-2.0
#include "runtime/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace casemate::runtime {
namespace {

constexpr int kBacklog = 64;
constexpr std::chrono::milliseconds kSendPatience{3000};
using Clock = std::chrono::steady_clock;

Result<sockaddr_un> address_in(int folder, const os::Path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("/proc/self/fd/{}/{}", folder, path.filename().native());
  if (name.size() >= sizeof address.sun_path) return over_limit("{}: name too long for a socket", path.native());
  name.copy(address.sun_path, name.size());
  return address;
}

Result<UniqueFd> folder_of(const os::Path& path) {
  return os::open(path.has_parent_path() ? path.parent_path() : os::Path("."), O_PATH | O_DIRECTORY);
}

// Waits until `fd` has one of `events`; false when `deadline` passes first.
Result<bool> wait_until(int fd, short events, std::optional<Clock::time_point> deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      timeout = left < 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left, 60'000));
    }
    pollfd entry{fd, events, 0};
    const int count = ::poll(&entry, 1, timeout);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return errno_error("poll");
    if (deadline && Clock::now() >= *deadline) return false;
  }
}

}  // namespace

Bytes encode_message(const json::Value& value) {
  const std::string text = json::encode(value);
  Bytes message;
  append_be<4>(message, text.size());
  append(message, as_bytes(text));
  return message;
}

Result<std::optional<json::Value>> FrameReader::next() {
  ByteReader reader(buffer_);
  if (buffer_.size() < 4) return std::optional<json::Value>();
  const std::size_t size = TRY(reader.read_u32());
  if (size > limits_.message_bytes) return over_limit("message: {} bytes, want at most {}", size, limits_.message_bytes);
  if (reader.rest().size() < size) return std::optional<json::Value>();
  const json::Limits limits{.input_bytes = limits_.message_bytes};
  std::optional<json::Value> value = TRY(json::parse(as_text(TRY(reader.read(size))), limits).in("message"));
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(4 + size));
  return value;
}

Result<void> Connection::send(const json::Value& message) {
  const Bytes bytes = encode_message(message);
  ByteView rest = bytes;
  const auto deadline = Clock::now() + kSendPatience;
  while (!rest.empty()) {
    const ssize_t count = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!TRY(wait_until(fd_.get(), POLLOUT, deadline))) return unavailable("the peer does not read");
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return unavailable("the peer closed the connection");
    } else if (errno != EINTR) {
      return errno_error("send");
    }
  }
  return {};
}

Result<Bytes> Connection::read_raw(std::optional<std::chrono::milliseconds> patience) {
  if (!reader_.rest().empty()) {
    Bytes held = reader_.rest();
    reader_ = FrameReader();
    return held;
  }
  std::optional<Clock::time_point> deadline;
  if (patience) deadline = Clock::now() + *patience;
  Bytes buffer(64 * 1024);
  for (;;) {
    if (!TRY(wait_until(fd_.get(), POLLIN, deadline))) return unavailable("no answer in time");
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count >= 0) {
      buffer.resize(static_cast<std::size_t>(count));
      return buffer;
    }
    if (errno == ECONNRESET) return Bytes();
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return errno_error("recv");
  }
}

Result<json::Value> Connection::receive(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  Bytes buffer(64 * 1024);
  for (;;) {
    std::optional<json::Value> message = TRY(reader_.next());
    if (message) return *std::move(message);
    if (!TRY(wait_until(fd_.get(), POLLIN, deadline)))
      return unavailable("no answer within {} s", std::chrono::duration<double>(patience).count());
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return unavailable("the peer closed the connection");
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return errno_error("recv");
    if (count > 0) reader_.add(ByteView(buffer).first(static_cast<std::size_t>(count)));
  }
}

Result<UniqueFd> listen_unix(const os::Path& path, mode_t mode) {
  const UniqueFd folder = TRY(folder_of(path));
  const sockaddr_un address = TRY(address_in(folder.get(), path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) return conflict("{}: exists", path.native());
    return errno_error(path.native());
  }
  if (::fchmodat(folder.get(), path.filename().c_str(), mode, 0) != 0) return errno_error(path.native());
  if (::listen(fd.get(), kBacklog) != 0) return errno_error(path.native());
  return fd;
}

Result<UniqueFd> connect_unix(const os::Path& path) {
  const UniqueFd folder = TRY(folder_of(path));
  const sockaddr_un address = TRY(address_in(folder.get(), path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("socket");
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno == ECONNREFUSED || errno == EAGAIN) return unavailable("{}: nobody listens", path.native());
    return errno_error(path.native());
  }
  return fd;
}

Result<uid_t> peer_uid(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return errno_error("SO_PEERCRED");
  return peer.uid;
}

}  // namespace casemate::runtime
