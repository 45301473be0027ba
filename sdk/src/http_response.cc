// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/http_response.h"
#include "base/text.h"

#include <algorithm>
#include <charconv>

namespace casemate::sdk {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 9110, 5.6.2.
bool token_char(char c) {
  return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// RFC 9110, 5.5: visible characters, obs-text, space and tab.
bool value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <typename T>
bool parse_number(std::string_view text, int base, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Result<std::size_t> ResponseParser::feed(ByteView data) {
  std::size_t used = 0;
  while (used < data.size() && state_ != State::kDone) {
    started_ = true;
    const ByteView rest = data.subspan(used);
    if (state_ == State::kBody || state_ == State::kChunk) {
      const std::size_t count = std::min(rest.size(), body_left_);
      TRY(grow_body(rest.first(count)));
      used += count;
      body_left_ -= count;
      if (body_left_ == 0) state_ = state_ == State::kBody ? State::kDone : State::kChunkEnd;
      continue;
    }
    if (state_ == State::kUntilEnd) {
      TRY(grow_body(rest));
      return data.size();
    }
    const char c = static_cast<char>(rest.front());
    ++used;
    if (++head_bytes_ > limits_.head_bytes) return over_limit("http response: head of more than {} bytes", limits_.head_bytes);
    if (c != '\n') {
      if (!line_.empty() && line_.back() == '\r') return malformed("http response: carriage return within a line");
      line_ += c;
      continue;
    }
    if (line_.empty() || line_.back() != '\r') return malformed("http response: line feed without carriage return");
    line_.pop_back();
    const std::string text = std::move(line_);
    line_.clear();
    TRY(line(text));
  }
  return used;
}

Result<void> ResponseParser::line(std::string_view text) {
  switch (state_) {
    case State::kStatus: return status_line(text);
    case State::kHeader: return text.empty() ? end_of_head() : header_line(text);
    case State::kChunkSize: return chunk_size(text);
    case State::kChunkEnd:
      if (!text.empty()) return malformed("http response: chunk longer than its size");
      // Many small chunks are no longer head: only their size lines are bounded, each by itself.
      head_bytes_ = 0;
      state_ = State::kChunkSize;
      return {};
    case State::kTrailer:
      if (text.empty()) state_ = State::kDone;
      return {};
    case State::kBody:
    case State::kUntilEnd:
    case State::kChunk:
    case State::kDone: break;
  }
  return internal("http response: a line where none is expected");
}

Result<void> ResponseParser::status_line(std::string_view text) {
  // RFC 9112, 4: HTTP-version SP status-code SP [ reason-phrase ].
  const bool shape = text.size() >= 12 && (text.starts_with("HTTP/1.1 ") || text.starts_with("HTTP/1.0 ")) &&
                     digit(text[9]) && digit(text[10]) && digit(text[11]) && (text.size() == 12 || text[12] == ' ');
  if (!shape || !std::all_of(text.begin(), text.end(), value_char)) return malformed("http response: not an HTTP/1.1 status line");
  unsigned status = 0;
  if (!parse_number(text.substr(9, 3), 10, status) || status < 100) return malformed("http response: status below 100");
  minor_zero_ = text[7] == '0';
  response_ = {};
  response_.status = status;
  state_ = State::kHeader;
  return {};
}

Result<void> ResponseParser::header_line(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return malformed("http response: header without a name");
  const std::string_view name = text.substr(0, colon);
  if (!std::all_of(name.begin(), name.end(), token_char)) return malformed("http response: character in a header's name");
  const std::string_view value = trim(text.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), value_char)) return malformed("http response: {}: control character", name);
  if (response_.headers.size() == limits_.headers) return over_limit("http response: more than {} headers", limits_.headers);
  response_.headers.add(name, value);
  return {};
}

Result<void> ResponseParser::end_of_head() {
  if (response_.status < 200) {
    if (response_.status == 101) return malformed("http response: protocol switched unasked");
    if (++informational_ > limits_.informational) return over_limit("http response: more than {} of status 1xx", limits_.informational);
    state_ = State::kStatus;
    return {};
  }
  const http::Headers& headers = response_.headers;
  const std::string* connection = headers.find("connection");
  const bool close = connection != nullptr && equal_ignoring_case(*connection, "close");
  const bool keep = connection != nullptr && equal_ignoring_case(*connection, "keep-alive");
  keep_alive_ = minor_zero_ ? keep : !close;

  const std::string* coding = headers.find("transfer-encoding");
  const std::string* length = headers.find("content-length");
  if (headers.count("transfer-encoding") > 1 || headers.count("content-length") > 1 || (coding != nullptr && length != nullptr)) {
    return malformed("http response: more than one body length");
  }
  if (response_.status == 204 || response_.status == 304) {
    state_ = State::kDone;
    return {};
  }
  if (coding != nullptr) {
    if (minor_zero_ || !equal_ignoring_case(*coding, "chunked")) return unsupported("http response: transfer coding, want chunked");
    state_ = State::kChunkSize;
    return {};
  }
  if (length != nullptr) {
    if (!std::all_of(length->begin(), length->end(), digit) || !parse_number(*length, 10, body_left_)) {
      return malformed("http response: content-length is not a number");
    }
    if (body_left_ > limits_.body_bytes) return over_limit("http response: body of {} bytes, at most {}", body_left_, limits_.body_bytes);
    state_ = body_left_ == 0 ? State::kDone : State::kBody;
    return {};
  }
  keep_alive_ = false;
  state_ = State::kUntilEnd;
  return {};
}

Result<void> ResponseParser::chunk_size(std::string_view text) {
  // RFC 9112, 7.1.1: chunk extensions are allowed and mean nothing to us.
  const std::string_view size = trim(text.substr(0, text.find(';')));
  if (size.size() > 8 || !parse_number(size, 16, body_left_)) return malformed("http response: chunk size");
  if (body_left_ > limits_.body_bytes - response_.body.size()) return over_limit("http response: body of more than {} bytes", limits_.body_bytes);
  state_ = body_left_ == 0 ? State::kTrailer : State::kChunk;
  return {};
}

Result<void> ResponseParser::grow_body(ByteView data) {
  if (data.size() > limits_.body_bytes - response_.body.size()) return over_limit("http response: body of more than {} bytes", limits_.body_bytes);
  response_.body += as_text(data);
  return {};
}

Result<void> ResponseParser::end() {
  if (state_ == State::kUntilEnd) state_ = State::kDone;
  if (state_ == State::kDone) return {};
  if (!started_) return unavailable("the connection closed without an answer");
  return unavailable("the connection closed within the answer");
}

}  // namespace casemate::sdk
