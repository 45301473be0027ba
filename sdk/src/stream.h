// SPDX-License-Identifier: Apache-2.0
// Stream: bytes to and from a connected peer, plain or TLS, every step under a deadline.
#pragma once

#include <span>

#include "base/bytes.h"
#include "base/fd.h"
#include "sdk/src/deadline.h"

namespace casemate::sdk {

class Stream {
 public:
  virtual ~Stream() = default;
  // read_some waits for at least one byte; 0 is the orderly end. Errors: kUnavailable, kUntrusted (TLS), kInternal.
  virtual Result<std::size_t> read_some(std::span<std::uint8_t> out, const Deadline& deadline) = 0;
  virtual Result<void> write_all(ByteView data, const Deadline& deadline) = 0;
  // idle says whether the connection looks usable for another request: open, with nothing unread.
  virtual bool idle() const = 0;
};

// FdStream never blocks in the system call and never raises SIGPIPE, whatever the descriptor's mode.
class FdStream final : public Stream {
 public:
  explicit FdStream(UniqueFd fd) : fd_(std::move(fd)) {}

  Result<std::size_t> read_some(std::span<std::uint8_t> out, const Deadline& deadline) override;
  Result<void> write_all(ByteView data, const Deadline& deadline) override;
  bool idle() const override;

 private:
  UniqueFd fd_;
};

Result<std::size_t> read_some(int fd, std::span<std::uint8_t> out, const Deadline& deadline);
Result<void> write_all(int fd, ByteView data, const Deadline& deadline);

// finish_connect waits for a connect(2) in progress. Errors: errno_error(what).
Result<void> finish_connect(int fd, std::string_view what, const Deadline& deadline);

}  // namespace casemate::sdk
