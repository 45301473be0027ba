// SPDX-License-Identifier: Apache-2.0
// One server connection: transport (plain or TLS), request reader, response queue, and one deadline that depends on the
// stage it is in. Included only by the sources of this folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/request_parser.h"
#include "net/http_server.h"
#include "net/tls_context.h"

namespace casemate::net {

class Connection;

// ConnectionHost is what a connection needs of its server.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual Loop& loop() = 0;
  virtual const ServerOptions& options() const = 0;
  virtual ServerStats& counters() = 0;
  virtual const Log& log() const = 0;
  virtual bool draining() const = 0;
  // scratch is the input buffer that all connections share; it holds data only during one callback.
  virtual std::span<char> scratch() = 0;
  virtual std::string_view date() = 0;
  virtual Reply make_reply(std::uint64_t connection) = 0;
  // resume_later calls resume() after the other connections had their turn.
  virtual void resume_later(std::uint64_t connection) = 0;
  // closed destroys the connection after the callbacks at hand.
  virtual void closed(std::uint64_t connection) = 0;
};

class Connection final : public Watcher {
 public:
  enum class Stage { kHandshake, kIdle, kHead, kBody, kBusy, kWrite, kLinger };

  struct Handlers {
    Handler direct;
    AsyncHandler async;  // used when there is no direct one
  };

  // `handlers` is shared by a listener and its connections, which may outlive it during a drain.
  Connection(ConnectionHost& host, std::uint64_t id, UniqueFd fd, std::string peer, Ssl ssl,
             std::shared_ptr<const Handlers> handlers);
  ~Connection() override;

  Result<void> start();
  void on_ready(std::uint32_t events) override;
  void answer(http::Response response);
  // resume continues with input that TLS has already taken from the socket.
  void resume();
  void on_deadline();
  // finish_soon closes at once when idle, otherwise after the response under way.
  void finish_soon();
  void close();

  Stage stage() const { return stage_; }
  SteadyTime since() const { return since_; }
  SteadyTime deadline() const { return deadline_; }
  const std::string& peer() const { return peer_; }

 private:
  enum class Io { kDone, kBlocked, kEnd, kFailed };

  void handshake();
  void handshake_failed();
  void read_some();
  Io read_into(std::span<char> room, std::size_t& got);
  Io write_from(std::string_view data, std::size_t& put);
  void consume(std::string_view input);
  void handle(http::Request request);
  void finish_request(http::Response response);
  void reject(unsigned status, std::string_view reason);
  void flush();
  void begin_linger();
  void drop_pending();
  void step();
  Stage current_stage() const;
  void enter(Stage stage);
  bool wants_input() const;
  void want(std::uint32_t events);
  bool backlogged() const;

  ConnectionHost& host_;
  const std::uint64_t id_;
  UniqueFd fd_;
  const std::string peer_;
  Ssl ssl_;
  std::shared_ptr<const Handlers> handlers_;
  http::RequestParser parser_;

  std::string pending_;  // input not yet consumed
  std::string out_;      // responses not yet sent
  std::size_t sent_ = 0;

  Stage stage_ = Stage::kIdle;
  SteadyTime since_;
  SteadyTime deadline_;
  std::uint32_t interest_ = 0;

  bool open_ = true;
  bool handshaking_ = false;
  bool busy_ = false;         // an asynchronous handler owes an answer
  bool in_handler_ = false;   // a handler's call is on the stack
  bool keep_alive_ = true;    // of the request being answered
  bool is_head_ = false;      // likewise
  bool is_http_1_0_ = false;  // likewise
  bool stalled_ = false;      // pending_ may hold a whole request
  bool renew_ = false;        // a request ended: the next one's time begins
  bool closing_ = false;      // no request after those answered
  bool lingering_ = false;    // all is sent; input is read only to keep the answer from being reset
  bool continue_sent_ = false;
  bool input_ended_ = false;
  bool unwanted_input_ = false;
  std::size_t lingered_ = 0;
  std::optional<http::Response> early_answer_;  // given while in_handler_
};

}  // namespace casemate::net
