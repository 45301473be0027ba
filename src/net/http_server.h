// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server (RFC 9110, 9112) over TCP and TLS on a Loop: keep-alive, pipelining, Expect, bounded in bytes, time
// and connections. Bodies may hold secrets: every buffer that held one is cleared after use.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/message.h"
#include "net/loop.h"
#include "net/pool.h"

namespace casemate::net {

// TlsIdentity is what a listener proves itself with: PEM certificate (leaf first, then its chain) and PEM private key.
struct TlsIdentity {
  std::string certificate_pem;
  Secret private_key_pem;
};

struct ServerOptions {
  // A request's line and headers, its body, and how many header fields.
  std::size_t head_bytes = 64 * 1024;
  std::size_t body_bytes = 4 * 1024 * 1024;
  std::size_t header_fields = 128;
  // Connections above the limit are closed as soon as they are accepted. Per peer address: 0 is no limit of its own.
  std::size_t connections = 4096;
  std::size_t connections_per_peer = 0;

  // From accept to the end of the TLS handshake, from the first byte of a head to its end, from there to the end of the
  // body, for the peer to take a response, and between requests. Head and body are bounds on the whole, not on silence,
  // so that a byte a second gains nothing.
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds head_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};

  // With a clock, responses that have no Date get one. It must outlive the server.
  const Clock* clock = nullptr;
};

struct ListenerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6 literal
  std::uint16_t port = 0;             // 0: any free one
  std::optional<TlsIdentity> tls;
};

struct BoundAddress {
  std::string address;
  std::uint16_t port = 0;
};

struct ServerStats {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;   // over a connection limit
  std::uint64_t requests = 0;  // reached a handler
  std::uint64_t rejected = 0;  // malformed or over a limit
  std::uint64_t timed_out = 0;
  std::uint64_t tls_failures = 0;
  std::size_t open = 0;
};

// Handler runs on the loop's thread and must not block. The server adds Content-Length, Connection and Date.
using Handler = std::function<http::Response(const http::Request&)>;

// AsyncHandler is called on the loop's thread and answers through Reply, once, from any thread; a Reply destroyed
// unused answers 500. Pipelined requests wait for the answer. Whoever takes the request's body clears it after use.
class Reply;
using AsyncHandler = std::function<void(http::Request request, Reply reply)>;

class Server {
 public:
  static Result<std::unique_ptr<Server>> create(Loop& loop, ServerOptions options, Log log);
  virtual ~Server() = default;

  // listen opens one more listener. Errors: kUnavailable (`127.0.0.1:8443: address in use`), kDenied, kMalformed
  // (address or PEM).
  virtual Result<BoundAddress> listen(ListenerOptions options, AsyncHandler handler) = 0;
  Result<BoundAddress> listen(ListenerOptions options, Handler handler);

  // replace_identity is used by handshakes that begin after it, on every TLS listener. Errors: kMalformed; the old
  // stays.
  virtual Result<void> replace_identity(const TlsIdentity& identity) = 0;

  // drain closes the listeners and idle connections, lets requests under way be answered, and calls done when all
  // are closed or the grace has passed.
  virtual void drain(std::chrono::milliseconds grace, Task done) = 0;

  virtual ServerStats stats() const = 0;
};

// Reply carries one response back to its connection; copies stand for the same one. If the connection is gone the
// response is dropped.
class Reply {
 public:
  class Sink;
  explicit Reply(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
  void operator()(http::Response response) const;

 private:
  std::shared_ptr<Sink> sink_;  // shared by the copies that a std::function makes
};

// on_pool runs the handler on the pool and clears the request's body after it; a full pool answers 503 with
// Retry-After.
AsyncHandler on_pool(Pool& pool, Handler handler);

// clear_body zeroes and empties a body.
void clear_body(std::string& body);

}  // namespace casemate::net
