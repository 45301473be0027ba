// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 request reader (RFC 9112), incremental and strict: every form on which two parsers might disagree about
// where a request ends is refused (both Content-Length and Transfer-Encoding, repeated Content-Length, line folding,
// bare LF, space before the colon, any transfer coding but chunked); trailers are dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace casemate::http {

struct RequestLimits {
  std::size_t head_bytes = 64 * 1024;
  std::size_t header_fields = 128;
  std::size_t body_bytes = 4 * 1024 * 1024;
};

// Rejection is the status to answer with before the connection is closed.
struct Rejection {
  unsigned status = 400;
  std::string reason;
};

class RequestParser {
 public:
  enum class State { kHead, kBody, kDone, kRejected };

  explicit RequestParser(const RequestLimits& limits = {}) : limits_(limits) {}
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  ~RequestParser();

  // feed consumes from the front of `input` and returns how many bytes. An unfinished line is left: call again with
  // the same bytes and more behind them. At kDone what follows is the next request.
  std::size_t feed(std::string_view input);

  State state() const { return state_; }
  const Rejection& rejection() const { return rejection_; }
  // begun is true once a byte of a head has been seen.
  bool begun() const { return begun_; }
  // wants_continue is true while the client holds back a body for which it expects `100 Continue`.
  bool wants_continue() const { return state_ == State::kBody && expects_continue_ && !body_begun_; }
  bool keep_alive() const { return keep_alive_; }
  bool is_http_1_0() const { return http_1_0_; }

  // take moves the finished request out and begins anew.
  Request take();

 private:
  enum class Part { kSized, kChunkSize, kChunkData, kChunkEnd, kTrailer };

  bool reject(unsigned status, std::string reason);
  std::size_t feed_head(std::string_view input);
  std::size_t feed_body(std::string_view input);
  std::size_t feed_data(std::string_view input);
  std::size_t feed_line(std::string_view input);
  bool read_head(std::string_view head);
  bool read_request_line(std::string_view line);
  bool read_field(std::string_view line);
  bool read_framing();
  bool read_connection();
  bool read_chunk_size(std::string_view line);
  bool read_trailer(std::string_view line);
  bool reserve_body(std::size_t size);

  RequestLimits limits_;
  State state_ = State::kHead;
  Part part_ = Part::kSized;
  Rejection rejection_;
  Request request_;
  bool begun_ = false;
  bool line_skipped_ = false;
  bool body_begun_ = false;
  bool expects_continue_ = false;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  std::size_t scanned_ = 0;  // of the head, without its end
  std::size_t left_ = 0;     // of the body or chunk
  std::size_t trailer_bytes_ = 0;
};

}  // namespace casemate::http
