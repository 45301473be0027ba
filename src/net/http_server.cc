// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>
#include <unordered_map>

#include "net/http_connection.h"

namespace casemate::net {
namespace {

constexpr std::size_t kScratchBytes = 32 * 1024;
// Connections that keep their TLS buffers (34 KiB) between requests; beyond them an idle one gives them back.
constexpr std::size_t kBufferedConnections = 128;
constexpr int kAcceptsPerEvent = 64;
constexpr std::chrono::milliseconds kAcceptPause{100};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<SocketAddress> parse_address(const std::string& text, std::uint16_t port) {
  SocketAddress out;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  } else {
    return malformed("listen address: \"{}\", want an IPv4 or IPv6 address", text);
  }
  return out;
}

BoundAddress format_address(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {text, ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address.storage, sizeof v6);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return {text, ntohs(v6.sin6_port)};
}

Result<UniqueFd> open_listener(SocketAddress& address, const std::string& name) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address.get(), address.size) != 0) {
    if (errno == EADDRINUSE) return unavailable("{}: address in use", name);
    return errno_error(name);
  }
  if (::listen(fd.get(), SOMAXCONN) != 0)
    return errno == EADDRINUSE ? unavailable("{}: address in use", name) : errno_error(name);
  address.size = sizeof address.storage;
  if (::getsockname(fd.get(), address.get(), &address.size) != 0) return errno_error("getsockname");
  return fd;
}

class ServerImpl;

class Listener final : public Watcher {
 public:
  Listener(ServerImpl& server, UniqueFd fd, bool tls, Connection::Handlers handlers)
      : server_(server),
        fd_(std::move(fd)),
        tls_(tls),
        handlers_(std::make_shared<const Connection::Handlers>(std::move(handlers))) {}
  void on_ready(std::uint32_t events) override;

  ServerImpl& server_;
  UniqueFd fd_;
  const bool tls_;
  std::shared_ptr<const Connection::Handlers> handlers_;
  SslContext context_;
  Timer pause_;
};

// Anchor outlives the server for the sake of late replies, which find it empty.
struct Anchor {
  ServerImpl* server = nullptr;
};

class ServerImpl final : public Server, public ConnectionHost {
 public:
  ServerImpl(Loop& loop, ServerOptions options, Log log)
      : loop_(loop), options_(options), log_(std::move(log)), scratch_(kScratchBytes) {
    anchor_->server = this;
    const auto shortest = std::min({options_.handshake_timeout, options_.head_timeout, options_.body_timeout,
                                    options_.write_timeout, options_.idle_timeout});
    sweeper_ = loop_.every(std::clamp<std::chrono::milliseconds>(shortest / 4, std::chrono::milliseconds(5),
                                                                 std::chrono::milliseconds(250)),
                           [this] { sweep(); });
  }

  ~ServerImpl() override {
    anchor_->server = nullptr;
    close_listeners();
    destroying_ = true;
    for (auto& [id, connection] : connections_) connection->close();
  }

  Result<BoundAddress> listen(ListenerOptions options, AsyncHandler handler) override {
    return open(std::move(options), {nullptr, std::move(handler)});
  }

  Result<BoundAddress> open(ListenerOptions options, Connection::Handlers handlers) {
    const std::string name = options.address.find(':') == std::string::npos
                                 ? fmt::format("{}:{}", options.address, options.port)
                                 : fmt::format("[{}]:{}", options.address, options.port);
    SslContext context;
    if (options.tls) context = TRY(make_tls_context(*options.tls));
    SocketAddress address = TRY(parse_address(options.address, options.port));
    UniqueFd fd = TRY(open_listener(address, name));
    auto listener = std::make_unique<Listener>(*this, std::move(fd), options.tls.has_value(), std::move(handlers));
    listener->context_ = std::move(context);
    TRY(loop_.add(listener->fd_.get(), EPOLLIN, *listener));
    listeners_.push_back(std::move(listener));
    return format_address(address);
  }

  Result<void> replace_identity(const TlsIdentity& identity) override {
    std::vector<SslContext> fresh;
    for (const auto& listener : listeners_) fresh.push_back(listener->tls_ ? TRY(make_tls_context(identity)) : nullptr);
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if (fresh[i]) listeners_[i]->context_ = std::move(fresh[i]);
    }
    return {};
  }

  void drain(std::chrono::milliseconds grace, Task done) override {
    if (draining_) return;
    draining_ = true;
    drained_ = std::move(done);
    close_listeners();
    std::vector<std::uint64_t> open;
    for (const auto& entry : connections_) open.push_back(entry.first);
    for (const std::uint64_t id : open) {
      if (const auto it = connections_.find(id); it != connections_.end()) it->second->finish_soon();
    }
    grace_ = loop_.after(grace, [this] {
      std::vector<std::uint64_t> late;
      for (const auto& entry : connections_) late.push_back(entry.first);
      for (const std::uint64_t id : late) {
        if (const auto it = connections_.find(id); it != connections_.end()) it->second->close();
      }
    });
    if (connections_.empty()) finish_drain();
  }

  ServerStats stats() const override {
    ServerStats out = stats_;
    out.open = connections_.size();
    return out;
  }

  Loop& loop() override { return loop_; }
  const ServerOptions& options() const override { return options_; }
  ServerStats& counters() override { return stats_; }
  const Log& log() const override { return log_; }
  bool draining() const override { return draining_; }
  std::span<char> scratch() override { return scratch_; }

  std::string_view date() override {
    if (options_.clock == nullptr) return {};
    const std::time_t second =
        std::chrono::duration_cast<std::chrono::seconds>(options_.clock->now().time_since_epoch()).count();
    if (second != date_second_) {
      date_second_ = second;
      std::tm parts{};
      ::gmtime_r(&second, &parts);
      static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
      static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
      date_ = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday % 7], parts.tm_mday,
                          kMonths[parts.tm_mon % 12], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    }
    return date_;
  }

  Reply make_reply(std::uint64_t connection) override;

  void resume_later(std::uint64_t connection) override {
    loop_.post([anchor = anchor_, connection] {
      if (anchor->server != nullptr) anchor->server->with(connection, [](Connection& c) { c.resume(); });
    });
  }

  void closed(std::uint64_t id) override {
    if (destroying_) return;
    const auto it = connections_.find(id);
    if (it == connections_.end()) return;
    if (const auto peer = peers_.find(it->second->peer()); peer != peers_.end() && --peer->second == 0)
      peers_.erase(peer);
    loop_.retire(std::move(it->second));
    connections_.erase(it);
    if (draining_ && connections_.empty()) finish_drain();
  }

  template <typename Use>
  void with(std::uint64_t id, Use use) {
    if (const auto it = connections_.find(id); it != connections_.end()) use(*it->second);
  }

  void accept_some(Listener& listener) {
    for (int i = 0; i < kAcceptsPerEvent; ++i) {
      SocketAddress address;
      UniqueFd fd(::accept4(listener.fd_.get(), address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        admit(listener, std::move(fd), format_address(address).address);
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        // Out of descriptors: the queue stays readable, so look away for a while instead of spinning.
        log_.warn("accept_failed", {{"error", errno_error("accept").message()}});
        loop_.remove(listener.fd_.get(), listener);
        listener.pause_ = loop_.after(kAcceptPause, [this, &listener] {
          if (const auto added = loop_.add(listener.fd_.get(), EPOLLIN, listener); !added.ok())
            log_.error("listen_failed", {{"error", added.error().message()}});
        });
        return;
      }
    }
  }

 private:
  void admit(Listener& listener, UniqueFd fd, std::string peer) {
    const auto known = peers_.find(peer);
    const std::size_t of_peer = known == peers_.end() ? 0 : known->second;
    const bool peer_full = options_.connections_per_peer > 0 && of_peer >= options_.connections_per_peer;
    if (peer_full || (connections_.size() >= options_.connections && !evict())) {
      ++stats_.refused;
      return;
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Ssl ssl;
    if (listener.context_) {
      ssl.reset(SSL_new(listener.context_.get()));
      if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1) return;
      if (connections_.size() < kBufferedConnections) SSL_clear_mode(ssl.get(), SSL_MODE_RELEASE_BUFFERS);
    }
    ++peers_[peer];
    ++stats_.accepted;
    const std::uint64_t id = next_id_++;
    auto connection =
        std::make_unique<Connection>(*this, id, std::move(fd), std::move(peer), std::move(ssl), listener.handlers_);
    Connection& started = *connections_.emplace(id, std::move(connection)).first->second;
    if (!started.start().ok()) started.close();
  }

  // At the limit the connection that has waited longest without a whole request gives way: a flood of silent peers
  // must not lock others out.
  bool evict() {
    Connection* oldest = nullptr;
    for (const auto& entry : connections_) {
      Connection& connection = *entry.second;
      const auto stage = connection.stage();
      if (stage == Connection::Stage::kBusy || stage == Connection::Stage::kWrite) continue;
      if (oldest == nullptr || connection.since() < oldest->since()) oldest = &connection;
    }
    if (oldest == nullptr) return false;
    ++stats_.refused;
    oldest->close();
    return true;
  }

  void sweep() {
    const SteadyTime now = loop_.now();
    late_.clear();
    for (const auto& [id, connection] : connections_) {
      if (connection->deadline() <= now) late_.push_back(id);
    }
    for (const std::uint64_t id : late_) with(id, [](Connection& connection) { connection.on_deadline(); });
  }

  void close_listeners() {
    for (auto& listener : listeners_) {
      listener->pause_.cancel();
      loop_.remove(listener->fd_.get(), *listener);
      listener->fd_.reset();
      loop_.retire(std::move(listener));
    }
    listeners_.clear();
  }

  void finish_drain() {
    grace_.cancel();
    if (drained_) loop_.post(std::exchange(drained_, nullptr));
  }

  Loop& loop_;
  const ServerOptions options_;
  const Log log_;
  std::vector<char> scratch_;
  std::shared_ptr<Anchor> anchor_ = std::make_shared<Anchor>();  // shared with replies and posted tasks
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<std::string, std::size_t> peers_;
  std::uint64_t next_id_ = 1;
  ServerStats stats_;
  std::vector<std::uint64_t> late_;
  bool draining_ = false;
  bool destroying_ = false;
  Task drained_;
  std::time_t date_second_ = -1;
  std::string date_;
  Timer sweeper_;
  Timer grace_;
};

void Listener::on_ready(std::uint32_t) {
  server_.accept_some(*this);
}

}  // namespace

class Reply::Sink {
 public:
  Sink(Loop& loop, std::shared_ptr<Anchor> anchor, std::uint64_t connection)
      : loop_(loop), anchor_(std::move(anchor)), connection_(connection), loop_thread_(std::this_thread::get_id()) {}

  ~Sink() {
    http::Response response;
    response.status = 500;
    answer(std::move(response));
  }

  void answer(http::Response response) {
    if (answered_.exchange(true)) return;
    if (std::this_thread::get_id() == loop_thread_) return deliver(anchor_, connection_, response);
    loop_.post([anchor = anchor_, connection = connection_, response = std::move(response)]() mutable {
      deliver(anchor, connection, response);
    });
  }

 private:
  static void deliver(const std::shared_ptr<Anchor>& anchor, std::uint64_t connection, http::Response& response) {
    if (anchor->server != nullptr)
      anchor->server->with(connection, [&](Connection& c) { c.answer(std::move(response)); });
    clear_body(response.body);
  }

  Loop& loop_;
  const std::shared_ptr<Anchor> anchor_;  // shared with the server
  const std::uint64_t connection_;
  const std::thread::id loop_thread_;
  std::atomic<bool> answered_{false};
};

namespace {

Reply ServerImpl::make_reply(std::uint64_t connection) {
  return Reply(std::make_shared<Reply::Sink>(loop_, anchor_, connection));
}

}  // namespace

void Reply::operator()(http::Response response) const {
  sink_->answer(std::move(response));
}

Result<std::unique_ptr<Server>> Server::create(Loop& loop, ServerOptions options, Log log) {
  if (options.connections == 0 || options.head_bytes < 256)
    return malformed("server options: no connections or a head under 256 bytes");
  // OpenSSL writes without MSG_NOSIGNAL.
  struct sigaction current {};
  if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
  return std::unique_ptr<Server>(std::make_unique<ServerImpl>(loop, options, std::move(log)));
}

Result<BoundAddress> Server::listen(ListenerOptions options, Handler handler) {
  return static_cast<ServerImpl*>(this)->open(std::move(options), {std::move(handler), nullptr});
}

AsyncHandler on_pool(Pool& pool, Handler handler) {
  return [&pool, handler = std::move(handler)](http::Request request, Reply reply) {
    auto shared = std::make_shared<http::Request>(std::move(request));  // std::function wants copies
    const bool queued = pool.submit([handler, shared, reply] {
      reply(handler(*shared));
      clear_body(shared->body);
    });
    if (queued) return;
    clear_body(shared->body);
    http::Response response;
    response.status = 503;
    response.headers.add("Retry-After", "1");
    reply(std::move(response));
  };
}

void clear_body(std::string& body) {
  zeroize(body.data(), body.size());
  body.clear();
}

}  // namespace casemate::net
