// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 client over a Unix socket (RFC 9112): enough for a container engine's API, bodies streamed.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/stream.h"
#include "os/file.h"

namespace casemate::image {

struct HttpReply {
  unsigned status = 0;
  // The body, which ends where the message says it does; a connection that closes early is kMalformed.
  std::unique_ptr<ByteSource> body;
};

// unix_http sends one request without a body on a connection of its own and reads the reply's head. `patience` bounds
// each wait for the other side. Errors: kNotFound or kUnavailable (nobody listens), kMalformed, kLimit, kInternal.
Result<HttpReply> unix_http(const os::Path& socket, std::string_view method, std::string_view target,
                            std::chrono::milliseconds patience);

// read_text reads a whole body of at most `limit` bytes.
Result<std::string> read_text(ByteSource& source, std::size_t limit);

}  // namespace casemate::image
