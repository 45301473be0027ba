// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 responses (RFC 9112): an incremental, bounded, strict parser. Refused: bare line feeds, folded headers, several
// or conflicting lengths, transfer codings other than chunked.
#pragma once

#include "base/bytes.h"
#include "http/message.h"

namespace casemate::sdk {

struct ResponseLimits {
  std::size_t head_bytes = 16 * 1024;  // status line and headers, trailers included
  std::size_t headers = 100;
  std::size_t body_bytes = 1024 * 1024;
  std::size_t informational = 4;  // 1xx responses before the final one
};

class ResponseParser {
 public:
  explicit ResponseParser(const ResponseLimits& limits = {}) : limits_(limits) {}

  // feed consumes from the front of `data` and returns how much; it stops at the end of the response. Errors:
  // kMalformed, kLimit; after an error the parser is of no further use.
  Result<std::size_t> feed(ByteView data);
  bool done() const { return state_ == State::kDone; }
  bool started() const { return started_; }
  // end says that the peer closed: the response is whole, or kUnavailable.
  Result<void> end();
  // keep_alive says whether the connection may carry another request; only after done().
  bool keep_alive() const { return keep_alive_; }
  // take is the response, only after done().
  http::Response take() { return std::move(response_); }

 private:
  enum class State { kStatus, kHeader, kBody, kUntilEnd, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };

  Result<void> line(std::string_view text);
  Result<void> status_line(std::string_view text);
  Result<void> header_line(std::string_view text);
  Result<void> end_of_head();
  Result<void> chunk_size(std::string_view text);
  Result<void> grow_body(ByteView data);

  ResponseLimits limits_;
  State state_ = State::kStatus;
  bool started_ = false;
  bool keep_alive_ = false;
  bool minor_zero_ = false;
  std::string line_;
  std::size_t head_bytes_ = 0;
  std::size_t informational_ = 0;
  std::size_t body_left_ = 0;
  http::Response response_;
};

}  // namespace casemate::sdk
