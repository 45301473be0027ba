// SPDX-License-Identifier: Apache-2.0
// The control protocol between nitro-cli and an enclave process: JSON messages, each after its length as four bytes,
// most significant first, over a Unix stream socket. A console, once granted, follows as plain bytes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "json/value.h"
#include "os/file.h"

namespace casemate::runtime {

struct WireLimits {
  std::size_t message_bytes = 4 * 1024 * 1024;  // an image's metadata may hold a whole `docker inspect`
};
// A request is a verb and an id; an enclave process keeps no more than this for a connection.
inline constexpr WireLimits kRequestLimits{64 * 1024};

Bytes encode_message(const json::Value& value);

// FrameReader takes a stream's bytes as they come and gives the messages.
class FrameReader {
 public:
  explicit FrameReader(WireLimits limits = {}) : limits_(limits) {}
  void add(ByteView data) { append(buffer_, data); }
  // next is the next whole message, or nothing yet. Errors: kLimit, kMalformed; the stream is then of no further use.
  Result<std::optional<json::Value>> next();
  // rest is what has come after the last message.
  const Bytes& rest() const { return buffer_; }

 private:
  WireLimits limits_;
  Bytes buffer_;
};

// Connection is nitro-cli's side: blocking, each call bounded by its patience.
class Connection {
 public:
  explicit Connection(UniqueFd fd) : fd_(std::move(fd)) {}

  // Errors: kUnavailable (closed, or no reply in time), kMalformed, kLimit.
  Result<void> send(const json::Value& message);
  Result<json::Value> receive(std::chrono::milliseconds patience);
  // read_raw waits for plain bytes; empty at the end of the stream. Errors: kUnavailable when none came in time.
  Result<Bytes> read_raw(std::optional<std::chrono::milliseconds> patience);
  UniqueFd take_fd() { return std::move(fd_); }

 private:
  UniqueFd fd_;
  FrameReader reader_;
};

// Sockets in a folder, whatever the length of its path (sun_path holds 108 bytes: names go through the folder's
// descriptor).
// Errors: kConflict (name taken), kInternal.
Result<UniqueFd> listen_unix(const os::Path& path, mode_t mode);
// Errors: kNotFound (no such socket), kUnavailable (nobody listens), kDenied.
Result<UniqueFd> connect_unix(const os::Path& path);
// peer_uid is the user at the other end, as the kernel saw it when they connected.
Result<uid_t> peer_uid(int fd);

}  // namespace casemate::runtime
