// SPDX-License-Identifier: Apache-2.0
#include "net/http_connection.h"
#include "base/text.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace casemate::net {
namespace {

// Responses held back for a peer that pipelines without reading, before its next request is looked at.
constexpr std::size_t kBacklogBytes = 64 * 1024;
constexpr std::size_t kKeptBufferBytes = 16 * 1024;
constexpr std::size_t kLingerBytes = 256 * 1024;
constexpr std::chrono::milliseconds kLingerTime{2000};
constexpr int kTlsReadsPerEvent = 8;

std::string_view status_text(unsigned status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

// A value that came from a client must not begin a header of its own.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  const auto start = out.size();
  out.append(name).append(": ").append(value);
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  out += "\r\n";
}

bool sets_framing(std::string_view name) {
  return equal_ignoring_case(name, "content-length") || equal_ignoring_case(name, "transfer-encoding") ||
         equal_ignoring_case(name, "connection");
}

}  // namespace

Connection::Connection(ConnectionHost& host, std::uint64_t id, UniqueFd fd, std::string peer, Ssl ssl,
                       std::shared_ptr<const Handlers> handlers)
    : host_(host),
      id_(id),
      fd_(std::move(fd)),
      peer_(std::move(peer)),
      ssl_(std::move(ssl)),
      handlers_(std::move(handlers)),
      parser_({host.options().head_bytes, host.options().header_fields, host.options().body_bytes}),
      since_(host.loop().now()),
      deadline_(since_) {}

Connection::~Connection() {
  zeroize(out_.data(), out_.size());
  drop_pending();
}

Result<void> Connection::start() {
  handshaking_ = ssl_ != nullptr;
  enter(handshaking_ ? Stage::kHandshake : Stage::kIdle);
  interest_ = EPOLLIN;
  return host_.loop().add(fd_.get(), interest_, *this);
}

void Connection::close() {
  if (!open_) return;
  open_ = false;
  host_.loop().remove(fd_.get(), *this);
  fd_.reset();
  host_.closed(id_);
}

void Connection::on_ready(std::uint32_t events) {
  if (!open_) return;
  if (handshaking_) return handshake();
  // Both directions are gone: what is left to read is all there is to do.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && ((events & EPOLLIN) == 0 || !wants_input())) return close();
  unwanted_input_ = (events & EPOLLIN) != 0 && !wants_input();
  if ((events & EPOLLIN) != 0) read_some();
  step();
}

void Connection::resume() {
  if (!open_ || handshaking_) return;
  read_some();
  step();
}

void Connection::handshake() {
  ERR_clear_error();
  const int result = SSL_accept(ssl_.get());
  if (result == 1) {
    handshaking_ = false;
    want(EPOLLIN);
    enter(Stage::kIdle);
    if (SSL_has_pending(ssl_.get()) == 1) resume();
    return;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return want(EPOLLIN);
    case SSL_ERROR_WANT_WRITE:
      return want(EPOLLOUT);
    default:
      return handshake_failed();
  }
}

void Connection::handshake_failed() {
  const unsigned long code = ERR_peek_error();
  // A port probe that connects and leaves is no failure of TLS.
  if (code != 0) {
    ++host_.counters().tls_failures;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST) {
      constexpr std::string_view kAnswer =
          "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 44\r\nContent-Type: "
          "text/plain\r\n\r\nplain HTTP request sent to a port with TLS.\n";
      [[maybe_unused]] const auto sent = ::send(fd_.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    host_.log().debug("tls_handshake_failed", {{"peer", peer_}, {"reason", take_tls_error()}});
  }
  // The alert that says why is already in the socket; unread input would turn it into a reset.
  ssl_.reset();
  handshaking_ = false;
  begin_linger();
}

Connection::Io Connection::read_into(std::span<char> room, std::size_t& got) {
  if (!ssl_ || lingering_) {
    while (true) {
      const ssize_t count = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
      if (count > 0) {
        got = static_cast<std::size_t>(count);
        return Io::kDone;
      }
      if (count == 0) return Io::kEnd;
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Io::kBlocked : Io::kFailed;
    }
  }
  ERR_clear_error();
  if (SSL_read_ex(ssl_.get(), room.data(), room.size(), &got) == 1) return Io::kDone;
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Io::kBlocked;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kEnd;
    default:
      ERR_clear_error();
      return Io::kFailed;
  }
}

Connection::Io Connection::write_from(std::string_view data, std::size_t& put) {
  if (!ssl_) {
    while (true) {
      const ssize_t count = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count >= 0) {
        put = static_cast<std::size_t>(count);
        return Io::kDone;
      }
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Io::kBlocked : Io::kFailed;
    }
  }
  ERR_clear_error();
  if (SSL_write_ex(ssl_.get(), data.data(), data.size(), &put) == 1) return Io::kDone;
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Io::kBlocked;
    default:
      ERR_clear_error();
      return Io::kFailed;
  }
}

bool Connection::backlogged() const {
  return out_.size() - sent_ > kBacklogBytes;
}

bool Connection::wants_input() const {
  return !input_ended_ && !busy_ && !backlogged() && !stalled_;
}

void Connection::read_some() {
  for (int round = 0; open_ && wants_input(); ++round) {
    // TLS may hold more although the socket is empty: others have their turn first.
    if (round == kTlsReadsPerEvent) return host_.resume_later(id_);
    const std::span<char> room = host_.scratch();
    std::size_t got = 0;
    const Io io = read_into(room, got);
    if (io == Io::kBlocked) return;
    if (io == Io::kFailed || (io == Io::kEnd && lingering_)) return close();
    if (io == Io::kEnd) {
      // A half-closed client still gets the answers it has asked for.
      input_ended_ = closing_ = true;
      return;
    }
    if (lingering_ || closing_) {
      lingered_ += got;
      if (lingered_ > kLingerBytes) return close();
    } else if (pending_.empty()) {
      consume({room.data(), got});
    } else {
      std::string input;
      input.reserve(pending_.size() + got);
      input.append(pending_).append(room.data(), got);
      drop_pending();
      consume(input);
      zeroize(input.data(), input.size());
    }
    zeroize(room.data(), got);
    if (!ssl_ || lingering_ || SSL_has_pending(ssl_.get()) == 0) return;
  }
}

void Connection::drop_pending() {
  zeroize(pending_.data(), pending_.size());
  pending_.clear();
  if (pending_.capacity() > kKeptBufferBytes) pending_.shrink_to_fit();
}

// Takes requests from the front of the input and keeps what it could not take.
void Connection::consume(std::string_view input) {
  stalled_ = false;
  while (open_ && !closing_) {
    if (busy_ || backlogged()) {
      stalled_ = !input.empty();
      break;
    }
    input.remove_prefix(parser_.feed(input));
    if (parser_.state() == http::RequestParser::State::kRejected) {
      ++host_.counters().rejected;
      return reject(parser_.rejection().status, parser_.rejection().reason);
    }
    if (parser_.state() != http::RequestParser::State::kDone) {
      if (parser_.wants_continue() && !continue_sent_) {
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        continue_sent_ = true;
      }
      break;
    }
    keep_alive_ = parser_.keep_alive();
    is_http_1_0_ = parser_.is_http_1_0();
    handle(parser_.take());
  }
  if (open_ && !closing_) pending_.append(input);
}

void Connection::handle(http::Request request) {
  ++host_.counters().requests;
  is_head_ = request.method == "HEAD";
  continue_sent_ = false;
  request.peer = peer_;
  request.secure = ssl_ != nullptr;
  in_handler_ = true;
  if (handlers_->direct) {
    finish_request(handlers_->direct(request));
    clear_body(request.body);
    in_handler_ = false;
    return;
  }
  busy_ = true;
  handlers_->async(std::move(request), host_.make_reply(id_));
  in_handler_ = false;
  if (early_answer_) {
    busy_ = false;
    finish_request(std::move(*early_answer_));
    early_answer_.reset();
  }
}

void Connection::answer(http::Response response) {
  if (!open_ || !busy_) return clear_body(response.body);
  if (in_handler_) {
    early_answer_ = std::move(response);
    return;
  }
  busy_ = false;
  finish_request(std::move(response));
  step();
}

void Connection::finish_request(http::Response response) {
  const std::string* const connection = response.headers.find("connection");
  const bool asked_to_close = connection != nullptr && equal_ignoring_case(*connection, "close");
  if (!keep_alive_ || asked_to_close || host_.draining()) closing_ = true;
  renew_ = true;

  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  std::string& out = out_;
  const std::size_t needed = out.size() + response.body.size() + 1024;
  if (needed > out.capacity()) {
    std::string larger;
    larger.reserve(std::max(needed, out.capacity() * 2));
    larger.append(out);
    zeroize(out.data(), out.size());
    out.swap(larger);
  }
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status, status_text(response.status));
  for (const auto& [name, value] : response.headers) {
    if (!sets_framing(name)) append_field(out, name, value);
  }
  if (const auto date = host_.date(); !date.empty() && response.headers.find("date") == nullptr)
    append_field(out, "Date", date);
  if (!bodiless) fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
  if (closing_) {
    out += "Connection: close\r\n";
  } else if (is_http_1_0_) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (!bodiless && !is_head_) out += response.body;
  clear_body(response.body);
}

void Connection::reject(unsigned status, std::string_view reason) {
  host_.log().debug("http_rejected",
                    {{"peer", peer_}, {"status", std::to_string(status)}, {"reason", std::string(reason)}});
  drop_pending();
  keep_alive_ = is_head_ = is_http_1_0_ = false;
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain");
  response.body = fmt::format("{}\n", reason);
  finish_request(std::move(response));
}

void Connection::flush() {
  while (sent_ < out_.size()) {
    std::size_t put = 0;
    const Io io = write_from(std::string_view(out_).substr(sent_), put);
    if (io == Io::kBlocked) return;
    if (io != Io::kDone) return close();
    sent_ += put;
  }
  zeroize(out_.data(), out_.size());
  out_.clear();
  sent_ = 0;
  if (out_.capacity() > kKeptBufferBytes) out_.shrink_to_fit();
}

// Sends what is ready, takes what was held back, then sets stage, deadline and interest. Every event ends here.
void Connection::step() {
  while (open_) {
    flush();
    if (!open_) return;
    if (closing_ && !lingering_ && !busy_ && out_.empty()) {
      begin_linger();
      if (!open_) return;
    }
    if (!stalled_ || busy_ || closing_ || backlogged()) break;
    std::string input;
    input.swap(pending_);
    consume(input);
    zeroize(input.data(), input.size());
  }
  if (!open_) return;
  enter(current_stage());
  std::uint32_t events = interest_;
  if (wants_input()) {
    events |= EPOLLIN;
  } else if (unwanted_input_ || input_ended_) {
    // Only once it gets in the way: an answer usually comes before more input does.
    events &= ~std::uint32_t{EPOLLIN};
  }
  want(out_.empty() ? events & ~std::uint32_t{EPOLLOUT} : events | EPOLLOUT);
  if (ssl_ && !lingering_ && wants_input() && !closing_ && SSL_has_pending(ssl_.get()) == 1) host_.resume_later(id_);
}

void Connection::begin_linger() {
  if (input_ended_) {
    if (ssl_) SSL_shutdown(ssl_.get());
    return close();
  }
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  ::shutdown(fd_.get(), SHUT_WR);
  drop_pending();
  stalled_ = false;
  closing_ = lingering_ = true;
  enter(Stage::kLinger);
  want(EPOLLIN);
}

Connection::Stage Connection::current_stage() const {
  if (handshaking_) return Stage::kHandshake;
  if (lingering_) return Stage::kLinger;
  if (busy_) return Stage::kBusy;
  if (!out_.empty()) return Stage::kWrite;
  if (!parser_.begun()) return Stage::kIdle;
  return parser_.state() == http::RequestParser::State::kBody ? Stage::kBody : Stage::kHead;
}

void Connection::enter(Stage stage) {
  if (stage == stage_ && !renew_ && deadline_ != since_) return;
  renew_ = false;
  stage_ = stage;
  since_ = host_.loop().now();
  const ServerOptions& options = host_.options();
  switch (stage) {
    case Stage::kHandshake:
      deadline_ = since_ + options.handshake_timeout;
      break;
    case Stage::kIdle:
      deadline_ = since_ + options.idle_timeout;
      break;
    case Stage::kHead:
      deadline_ = since_ + options.head_timeout;
      break;
    case Stage::kBody:
      deadline_ = since_ + options.body_timeout;
      break;
    case Stage::kBusy:
      deadline_ = SteadyTime::max();
      break;
    case Stage::kWrite:
      deadline_ = since_ + options.write_timeout;
      break;
    case Stage::kLinger:
      deadline_ = since_ + kLingerTime;
      break;
  }
}

void Connection::want(std::uint32_t events) {
  if (events == interest_) return;
  interest_ = events;
  if (const auto changed = host_.loop().modify(fd_.get(), events, *this); !changed.ok()) close();
}

void Connection::on_deadline() {
  if (!open_) return;
  if (stage_ == Stage::kHead || stage_ == Stage::kBody) {
    ++host_.counters().timed_out;
    reject(408, stage_ == Stage::kHead ? "head did not arrive in time" : "body did not arrive in time");
    return step();
  }
  if (stage_ == Stage::kHandshake || stage_ == Stage::kWrite) ++host_.counters().timed_out;
  close();
}

void Connection::finish_soon() {
  if (!open_ || in_handler_) return;
  if (handshaking_) return close();
  if (busy_ || parser_.begun() || stalled_) return;  // finish_request closes once draining
  closing_ = true;
  step();
}

}  // namespace casemate::net
