// SPDX-License-Identifier: Apache-2.0
#include "image/unix_http.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"
#include "http/message.h"

namespace casemate::image {

namespace {

constexpr std::size_t kHeadBytes = 64 * 1024;
constexpr std::size_t kLineBytes = 4096;

// Connection reads a socket through a buffer.
class Connection {
 public:
  explicit Connection(UniqueFd fd) : fd_(std::move(fd)), buffer_(64 * 1024) {}

  Result<void> send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return errno_error("send");
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
  }

  Result<std::size_t> read(std::span<std::uint8_t> out) {
    if (rest_.empty()) {
      const std::size_t got = TRY(receive(buffer_));
      rest_ = std::span(buffer_).first(got);
    }
    const std::size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

  // read_line gives a line without its end.
  Result<std::string> read_line(std::size_t limit) {
    std::string line;
    for (;;) {
      std::uint8_t byte = 0;
      if (TRY(read(std::span(&byte, 1))) == 0) return malformed("connection closed inside a line");
      if (byte == '\n') break;
      line.push_back(static_cast<char>(byte));
      if (line.size() > limit) return over_limit("line of more than {} bytes", limit);
    }
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

 private:
  Result<std::size_t> receive(std::span<std::uint8_t> out) {
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), out.data(), out.size(), 0);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EAGAIN || errno == EWOULDBLOCK) return unavailable("no answer in time");
      if (errno != EINTR) return errno_error("receive");
    }
  }

  UniqueFd fd_;
  Bytes buffer_;
  std::span<const std::uint8_t> rest_;
};

// Body frames: a known length, chunks, or everything up to the end of the connection.
class Body final : public ByteSource {
 public:
  enum class Framing { kLength, kChunked, kUntilClose };
  Body(Connection connection, Framing framing, std::uint64_t length) : connection_(std::move(connection)), framing_(framing), left_(length) {}

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    if (out.empty() || ended_) return std::size_t{0};
    if (framing_ == Framing::kChunked && left_ == 0) TRY(next_chunk());
    if (ended_) return std::size_t{0};
    if (framing_ == Framing::kLength && left_ == 0) {
      ended_ = true;
      return std::size_t{0};
    }
    if (framing_ != Framing::kUntilClose) out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_)));
    const std::size_t got = TRY(connection_.read(out));
    if (got == 0) {
      if (framing_ != Framing::kUntilClose) return malformed("connection closed inside the reply");
      ended_ = true;
    }
    if (framing_ != Framing::kUntilClose) left_ -= got;
    return got;
  }

 private:
  Result<void> next_chunk() {
    if (!first_ && !TRY(connection_.read_line(kLineBytes)).empty()) return malformed("chunk without a line end");
    first_ = false;
    const std::string line = TRY(connection_.read_line(kLineBytes));
    const std::string_view digits = std::string_view(line).substr(0, line.find(';'));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
    if (error != std::errc() || end == digits.data()) return malformed("chunk size is no hex number");
    if (left_ != 0) return {};
    while (!TRY(connection_.read_line(kLineBytes)).empty()) {
    }
    ended_ = true;
    return {};
  }

  Connection connection_;
  Framing framing_;
  std::uint64_t left_;
  bool first_ = true;
  bool ended_ = false;
};

}  // namespace

Result<HttpReply> unix_http(const os::Path& socket, std::string_view method, std::string_view target,
                            std::chrono::milliseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path) return over_limit("{}: socket path too long", socket.native());
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("socket");
  timeval wait{};
  wait.tv_sec = static_cast<time_t>(patience.count() / 1000);
  wait.tv_usec = static_cast<suseconds_t>(patience.count() % 1000 * 1000);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return errno_error(socket.native());

  Connection connection(std::move(fd));
  TRY(connection.send(fmt::format("{} {} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", method, target)));
  HttpReply reply;
  http::Headers headers;
  do {
    const std::string status = TRY(connection.read_line(kLineBytes));
    if (!status.starts_with("HTTP/1.") || status.size() < 12) return malformed("{}: not an HTTP reply", socket.native());
    const auto [end, error] = std::from_chars(status.data() + 9, status.data() + 12, reply.status);
    if (error != std::errc() || end != status.data() + 12) return malformed("{}: not an HTTP status", socket.native());
    headers = {};
    std::size_t total = 0;
    for (;;) {
      const std::string line = TRY(connection.read_line(kLineBytes));
      if (line.empty()) break;
      total += line.size();
      if (total > kHeadBytes) return over_limit("{}: reply head of more than {} bytes", socket.native(), kHeadBytes);
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) return malformed("{}: header without a colon", socket.native());
      const std::size_t value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
      headers.add(line.substr(0, colon), line.substr(value));
    }
  } while (reply.status >= 100 && reply.status < 200);

  auto framing = Body::Framing::kUntilClose;
  std::uint64_t length = 0;
  const std::string* encoding = headers.find("Transfer-Encoding");
  const std::string* announced = headers.find("Content-Length");
  if (encoding != nullptr) {
    if (!equal_ignoring_case(*encoding, "chunked")) return unsupported("{}: transfer encoding other than chunked", socket.native());
    framing = Body::Framing::kChunked;
  } else if (announced != nullptr) {
    const auto [end, error] = std::from_chars(announced->data(), announced->data() + announced->size(), length);
    if (error != std::errc() || end != announced->data() + announced->size()) return malformed("{}: Content-Length is no number", socket.native());
    framing = Body::Framing::kLength;
  }
  reply.body = std::make_unique<Body>(std::move(connection), framing, length);
  return reply;
}

Result<std::string> read_text(ByteSource& source, std::size_t limit) {
  std::string text;
  std::array<std::uint8_t, 16384> buffer;
  for (;;) {
    const std::size_t got = TRY(source.read(buffer));
    if (got == 0) return text;
    if (got > limit - text.size()) return over_limit("reply of more than {} bytes", limit);
    text += as_text(ByteView(buffer).first(got));
  }
}

}  // namespace casemate::image
