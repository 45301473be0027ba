// SPDX-License-Identifier: Apache-2.0
#include "http/request_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/secret.h"
#include "base/text.h"

namespace casemate::http {
namespace {

constexpr std::size_t kChunkLineBytes = 1024;  // the size and extensions nobody uses
constexpr std::size_t kTrailerBytes = 8 * 1024;

// RFC 9110, 5.6.2: tchar.
constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<std::size_t>(c)] = true;
  return table;
}();

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return kTokenBytes[static_cast<unsigned char>(c)]; });
}

bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool is_target(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `each` with every element of a comma-separated list.
template <typename Each>
void for_each_element(std::string_view list, Each each) {
  while (true) {
    const auto comma = list.find(',');
    each(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

RequestParser::~RequestParser() {
  zeroize(request_.body.data(), request_.body.size());
}

bool RequestParser::reject(unsigned status, std::string reason) {
  state_ = State::kRejected;
  rejection_ = {status, std::move(reason)};
  return false;
}

Request RequestParser::take() {
  Request finished = std::move(request_);
  request_ = {};
  state_ = State::kHead;
  part_ = Part::kSized;
  begun_ = line_skipped_ = body_begun_ = expects_continue_ = http_1_0_ = false;
  keep_alive_ = true;
  scanned_ = left_ = trailer_bytes_ = 0;
  return finished;
}

std::size_t RequestParser::feed(std::string_view input) {
  std::size_t consumed = 0;
  if (state_ == State::kHead) {
    consumed = feed_head(input);
    input.remove_prefix(consumed);
  }
  if (state_ == State::kBody) consumed += feed_body(input);
  return consumed;
}

std::size_t RequestParser::feed_head(std::string_view input) {
  std::size_t skipped = 0;
  if (!begun_) {
    // RFC 9112, 2.2: one empty line before the request line is ignored.
    if (!line_skipped_ && input.substr(0, 2) == "\r\n") {
      line_skipped_ = true;
      skipped = 2;
    }
    input.remove_prefix(skipped);
    if (input.empty() || input == "\r") return skipped;
    begun_ = true;
  }
  // The end may straddle what was scanned before.
  const auto end = input.find("\r\n\r\n", scanned_ > 3 ? scanned_ - 3 : 0);
  const std::size_t head_size = end == std::string_view::npos ? input.size() : end + 4;
  if (head_size > limits_.head_bytes) {
    reject(431, "head is larger than the limit");
    return skipped;
  }
  if (end == std::string_view::npos) {
    scanned_ = input.size();
    return skipped;
  }
  if (!read_head(input.substr(0, end + 2))) return skipped;
  state_ = State::kBody;
  if (part_ == Part::kSized && left_ == 0) state_ = State::kDone;
  return skipped + head_size;
}

bool RequestParser::read_head(std::string_view head) {
  bool first = true;
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (first ? !read_request_line(line) : !read_field(line)) return false;
    first = false;
  }
  return read_framing() && read_connection();
}

bool RequestParser::read_request_line(std::string_view line) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return reject(400, "request line has not three parts");
  const auto version = line.substr(last + 1);
  if (version == "HTTP/1.0") {
    http_1_0_ = true;
  } else if (version != "HTTP/1.1") {
    return reject(version.starts_with("HTTP/") ? 505 : 400, "version is not HTTP/1.1");
  }
  request_.method = line.substr(0, first);
  request_.target = line.substr(first + 1, last - first - 1);
  if (!is_token(request_.method) || request_.method.size() > 32) return reject(400, "method is no token");
  if (!is_target(request_.target)) return reject(400, "target holds a space or control character");
  return true;
}

bool RequestParser::read_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return reject(400, "folded header line");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return reject(400, "header line without a colon");
  const auto name = line.substr(0, colon);
  const auto value = trim(line.substr(colon + 1));
  if (!is_token(name)) return reject(400, "header name is no token");
  if (!is_field_value(value)) return reject(400, "header value holds a control character");
  if (request_.headers.size() >= limits_.header_fields) return reject(431, "more header fields than the limit");
  request_.headers.add(name, value);
  return true;
}

bool RequestParser::read_framing() {
  const auto hosts = request_.headers.count("host");
  if (hosts > 1 || (hosts == 0 && !http_1_0_)) return reject(400, "not exactly one Host");

  const std::string* const coding = request_.headers.find("transfer-encoding");
  const std::string* const length = request_.headers.find("content-length");
  if (coding != nullptr) {
    // RFC 9112, 6.1 lets a server close after such a request; refusing it leaves nothing to disagree about.
    if (length != nullptr) return reject(400, "both Transfer-Encoding and Content-Length");
    if (http_1_0_) return reject(400, "Transfer-Encoding in HTTP/1.0");
    if (request_.headers.count("transfer-encoding") > 1 || !equal_ignoring_case(*coding, "chunked"))
      return reject(501, "transfer coding other than chunked");
    part_ = Part::kChunkSize;
  } else if (length != nullptr) {
    if (request_.headers.count("content-length") > 1) return reject(400, "repeated Content-Length");
    if (length->empty() || length->size() > 18 ||
        !std::all_of(length->begin(), length->end(), [](char c) { return c >= '0' && c <= '9'; }))
      return reject(400, "Content-Length is no number");
    for (const char c : *length) left_ = left_ * 10 + static_cast<std::size_t>(c - '0');
    if (left_ > limits_.body_bytes) return reject(413, "body is larger than the limit");
    // A declared length is only trusted with memory up to here: more is taken as it arrives.
    if (!reserve_body(std::min<std::size_t>(left_, 16 * 1024))) return false;
  }
  return true;
}

bool RequestParser::read_connection() {
  keep_alive_ = !http_1_0_;
  for (const auto& [name, value] : request_.headers) {
    if (equal_ignoring_case(name, "connection")) {
      for_each_element(value, [&](std::string_view option) {
        if (equal_ignoring_case(option, "close")) keep_alive_ = false;
        if (http_1_0_ && equal_ignoring_case(option, "keep-alive")) keep_alive_ = true;
      });
    } else if (equal_ignoring_case(name, "expect")) {
      if (!equal_ignoring_case(value, "100-continue")) return reject(417, "expectation other than 100-continue");
      expects_continue_ = !http_1_0_;
    }
  }
  return true;
}

std::size_t RequestParser::feed_body(std::string_view input) {
  const std::size_t offered = input.size();
  while (state_ == State::kBody && !input.empty()) {
    body_begun_ = true;
    const std::size_t used = part_ == Part::kSized || part_ == Part::kChunkData ? feed_data(input) : feed_line(input);
    if (used == 0) break;
    input.remove_prefix(used);
  }
  return offered - input.size();
}

std::size_t RequestParser::feed_data(std::string_view input) {
  const auto piece = input.substr(0, left_);
  if (!reserve_body(request_.body.size() + piece.size())) return 0;
  request_.body.append(piece);
  left_ -= piece.size();
  if (left_ == 0) {
    if (part_ == Part::kSized) state_ = State::kDone;
    part_ = Part::kChunkEnd;
  }
  return piece.size();
}

// Consumes one whole line between pieces of data: the end of a chunk, the size of the next, or a trailer.
std::size_t RequestParser::feed_line(std::string_view input) {
  const auto end = input.find("\r\n");
  const std::size_t longest = part_ == Part::kChunkEnd    ? 0
                              : part_ == Part::kChunkSize ? kChunkLineBytes
                                                          : kTrailerBytes;
  if (end == std::string_view::npos) {
    if (input.find('\n') != std::string_view::npos) {
      reject(400, "chunk framing with a bare line feed");
      return 0;
    }
    const bool may_still_end = input.size() <= longest || (input.size() == longest + 1 && input.back() == '\r');
    if (!may_still_end) reject(400, "chunk framing without its line end");
    return 0;
  }
  if (end > longest) {
    reject(400, "chunk framing line is too long");
    return 0;
  }
  const auto line = input.substr(0, end);
  if (part_ == Part::kChunkEnd) {
    part_ = Part::kChunkSize;
  } else if (part_ == Part::kChunkSize) {
    if (!read_chunk_size(line)) return 0;
  } else if (line.empty()) {
    state_ = State::kDone;
  } else if (!read_trailer(line)) {
    return 0;
  }
  return end + 2;
}

bool RequestParser::read_chunk_size(std::string_view line) {
  // Extensions (RFC 9112, 7.1.1) are skipped, but not the white space before them that parsers read differently.
  const auto digits = line.substr(0, line.find(';'));
  if (digits.empty() || digits.size() > 15) return reject(400, "chunk size is no hexadecimal number");
  std::size_t size = 0;
  for (const char c : digits) {
    const int value = hex_value(c);
    if (value < 0) return reject(400, "chunk size is no hexadecimal number");
    size = size * 16 + static_cast<std::size_t>(value);
  }
  if (!is_field_value(line)) return reject(400, "chunk extension holds a control character");
  if (size > limits_.body_bytes - request_.body.size()) return reject(413, "body is larger than the limit");
  left_ = size;
  part_ = size == 0 ? Part::kTrailer : Part::kChunkData;
  return true;
}

// Trailers are checked and dropped: merged into the headers they could replace a signed one.
bool RequestParser::read_trailer(std::string_view line) {
  trailer_bytes_ += line.size() + 2;
  if (trailer_bytes_ > kTrailerBytes) return reject(431, "trailers are larger than the limit");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) || !is_field_value(line.substr(colon + 1)))
    return reject(400, "malformed trailer");
  return true;
}

// Grows without leaving a copy of the old content in freed memory.
bool RequestParser::reserve_body(std::size_t size) {
  std::string& body = request_.body;
  if (size > limits_.body_bytes) return reject(413, "body is larger than the limit");
  if (size <= body.capacity()) return true;
  std::string larger;
  larger.reserve(std::min(std::max(size, body.capacity() * 2), std::max(limits_.body_bytes, size)));
  larger.append(body);
  zeroize(body.data(), body.size());
  body.swap(larger);
  return true;
}

}  // namespace casemate::http
