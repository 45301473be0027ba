// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>

#include "runtime/console_ring.h"
#include "runtime/ended.h"
#include "runtime/usage.h"
#include "runtime/wire.h"

namespace casemate::runtime {
namespace {

using Steady = std::chrono::steady_clock;

// A peer that has not sent its whole request by then is dropped.
constexpr std::chrono::seconds kRequestPatience{3};
// A peer that does not read its whole reply by then is dropped.
constexpr std::chrono::seconds kReplyPatience{30};
// After the enclave's end: how long a peer may take to read what is left for it.
constexpr std::chrono::seconds kFlushPatience{2};
// Bounds memory and descriptors whatever the number of peers; the listener's backlog holds the others.
constexpr std::size_t kMaxPeers = 256;
constexpr std::size_t kReadChunk = 64 * 1024;

json::Value error_message(const Error& error) {
  return json::Object{{"error", json::Object{{"code", to_string(error.code())}, {"message", error.message()}}}};
}

struct Peer {
  enum class Wants { kUnknown, kReply, kConsole, kExit, kTermination };

  UniqueFd fd;
  Wants wants = Wants::kUnknown;
  bool may_command = false;
  bool follow = true;
  FrameReader reader{kRequestLimits};
  Bytes out;
  std::uint64_t position = 0;  // in the console
  Steady::time_point since = Steady::now();
  bool half_closed = false;    // it sends no more but may still read
  bool gone = false;
};

class Supervisor {
 public:
  Supervisor(Launched launched, const RunRequest& request, Host& host, UniqueFd signals)
      : launched_(std::move(launched)), request_(request), host_(host), signals_(std::move(signals)) {}

  // wait_ready serves until the application listens where it was asked for, or `nitro_cli` went away. Errors:
  // kUnavailable.
  Result<void> wait_ready(int nitro_cli);

  void attach_console(UniqueFd fd) {
    Peer& peer = peers_.emplace_back();
    (void)::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    peer.fd = std::move(fd);
    peer.wants = Peer::Wants::kConsole;
  }

  void end_early() { begin_termination("start"); }
  Result<GuestExit> run();

 private:
  void serve_once(std::chrono::milliseconds patience);
  void accept_peers();
  void read_console();
  void take_signals();
  void read_peer(Peer& peer);
  void write_peer(Peer& peer);
  void answer(Peer& peer, const json::Value& request);
  void answer_console(Peer& peer, const json::Value& request);
  void begin_termination(std::string_view cause);
  bool has_output(const Peer& peer) const;
  bool finished(const Peer& peer) const;
  void drop_finished();
  void tell_exit(GuestExit exit);

  json::Value stats() const;
  GuestExit run_guest();
  bool should_restart(const GuestExit& exit) const;
  bool restart(const GuestExit& exit);
  void note(std::string_view text);

  Launched launched_;
  const RunRequest& request_;
  Host& host_;
  std::uint32_t restarts_ = 0;
  std::uint32_t failures_in_a_row_ = 0;
  UniqueFd signals_;
  ConsoleRing ring_;
  std::list<Peer> peers_;
  bool ended_ = false;
};

void reply(Peer& peer, const json::Value& message) {
  peer.wants = Peer::Wants::kReply;
  append(peer.out, encode_message(message));
}

void Supervisor::begin_termination(std::string_view cause) {
  if (launched_.info.state == State::kTerminating) return;
  launched_.info.state = State::kTerminating;
  host_.log.info("enclave-terminating", {{"id", launched_.info.id}, {"cause", std::string(cause)}});
  if (launched_.guest) launched_.guest->terminate();
}

void Supervisor::answer_console(Peer& peer, const json::Value& request) {
  if (!launched_.info.debug_mode) {
    reply(peer, error_message(denied("enclave {}: not run in debug mode, it has no console", launched_.info.id)));
    return;
  }
  if (const json::Value* follow = request.find("follow"); follow != nullptr && follow->if_bool() != nullptr)
    peer.follow = *follow->if_bool();
  json::Object granted{{"EnclaveCID", launched_.info.cid}};
  peer.position = ring_.begin();
  if (const std::int64_t* from = request.int_at("from"); from != nullptr && *from >= 0) {
    peer.position = std::clamp(static_cast<std::uint64_t>(*from), ring_.begin(), ring_.end());
    granted.set("Position", peer.position);
  }
  reply(peer, granted);
  peer.wants = Peer::Wants::kConsole;
}

void Supervisor::answer(Peer& peer, const json::Value& request) {
  const std::string* command = request.string_at("command");
  if (command == nullptr) {
    reply(peer, error_message(malformed("command: missing")));
  } else if (*command == "describe") {
    EnclaveInfo info = launched_.info;
    if (const json::Value* wanted = request.find("metadata"); wanted != nullptr && *wanted == json::Value(true))
      info.metadata = launched_.metadata;
    reply(peer, describe_json(info));
  } else if (*command == "console") {
    answer_console(peer, request);
  } else if (*command == "stats") {
    reply(peer, stats());
  } else if (*command == "wait") {
    peer.wants = Peer::Wants::kExit;
  } else if (*command != "terminate") {
    reply(peer, error_message(malformed("command: unknown")));
  } else if (!peer.may_command) {
    reply(peer, error_message(denied("enclave {}: only its owner and root may terminate it", launched_.info.id)));
  } else {
    peer.wants = Peer::Wants::kTermination;
    begin_termination("nitro-cli");
  }
}

void Supervisor::accept_peers() {
  while (peers_.size() < kMaxPeers) {
    UniqueFd fd(::accept4(launched_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    const Result<uid_t> uid = peer_uid(fd.get());
    if (!uid) continue;
    Peer& peer = peers_.emplace_back();
    peer.fd = std::move(fd);
    peer.may_command = *uid == ::geteuid() || *uid == 0;
  }
}

void Supervisor::read_peer(Peer& peer) {
  std::array<std::uint8_t, 4096> buffer{};
  const ssize_t count = ::recv(peer.fd.get(), buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) peer.gone = true;
    return;
  }
  if (count == 0) {
    // Whoever waits for an event, or has not asked yet, has gone away.
    peer.half_closed = true;
    if (peer.wants != Peer::Wants::kReply) peer.gone = true;
    return;
  }
  if (peer.wants != Peer::Wants::kUnknown) return;  // one request a connection: the rest is read and ignored
  peer.reader.add(ByteView(buffer).first(static_cast<std::size_t>(count)));
  const Result<std::optional<json::Value>> request = peer.reader.next();
  if (!request) {
    reply(peer, error_message(request.error()));
  } else if (request->has_value()) {
    answer(peer, **request);
  }
}

bool Supervisor::has_output(const Peer& peer) const {
  return !peer.out.empty() || (peer.wants == Peer::Wants::kConsole && peer.position < ring_.end());
}

bool Supervisor::finished(const Peer& peer) const {
  if (peer.gone) return true;
  if (peer.wants == Peer::Wants::kUnknown) return ended_ || Steady::now() - peer.since > kRequestPatience;
  if (peer.wants == Peer::Wants::kReply) return !has_output(peer) || Steady::now() - peer.since > kReplyPatience;
  if (has_output(peer)) return false;
  return peer.wants == Peer::Wants::kConsole && (ended_ || !peer.follow);
}

void Supervisor::drop_finished() {
  peers_.remove_if([this](const Peer& peer) { return finished(peer); });
}

void Supervisor::write_peer(Peer& peer) {
  if (peer.out.empty() && peer.position < ring_.begin()) {
    const std::string note = fmt::format("\n[{} bytes of the console were lost]\n", ring_.begin() - peer.position);
    append(peer.out, as_bytes(note));
    peer.position = ring_.begin();
  }
  const bool from_ring = peer.out.empty();
  const ByteView data = from_ring ? ring_.read(peer.position) : ByteView(peer.out);
  const ssize_t count = ::send(peer.fd.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) peer.gone = true;
  } else if (from_ring) {
    peer.position += static_cast<std::uint64_t>(count);
  } else {
    peer.out.erase(peer.out.begin(), peer.out.begin() + count);
  }
}

void Supervisor::read_console() {
  Bytes buffer(kReadChunk);
  for (;;) {
    const ssize_t count = ::read(launched_.console.get(), buffer.data(), buffer.size());
    if (count > 0) {
      ring_.write(ByteView(buffer).first(static_cast<std::size_t>(count)));
      // One chunk a turn while the guest runs, so that a chatty guest cannot keep the others from being served.
      if (launched_.guest) return;
    } else if (count == 0) {
      launched_.console.reset();
      return;
    } else if (errno != EINTR) {
      return;
    }
  }
}

void Supervisor::take_signals() {
  signalfd_siginfo signal{};
  if (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) begin_termination("signal");
}

void Supervisor::serve_once(std::chrono::milliseconds patience) {
  std::vector<pollfd> fds;
  const auto watch = [&fds](int fd, int events) { fds.push_back({fd, static_cast<short>(events), 0}); };
  watch(launched_.guest ? launched_.guest->exit_event() : -1, POLLIN);
  watch(ended_ ? -1 : signals_.get(), POLLIN);
  watch(launched_.console ? launched_.console.get() : -1, POLLIN);
  watch(ended_ || peers_.size() >= kMaxPeers ? -1 : launched_.listener.get(), POLLIN);
  for (const Peer& peer : peers_) watch(peer.fd.get(), (peer.half_closed ? 0 : POLLIN) | (has_output(peer) ? POLLOUT : 0));
  if (::poll(fds.data(), fds.size(), static_cast<int>(patience.count())) <= 0) return;
  const auto ready = [&fds](std::size_t at) { return fds[at].revents != 0; };

  std::size_t at = 4;
  for (Peer& peer : peers_) {
    const short events = fds[at++].revents;
    if ((events & POLLERR) != 0) peer.gone = true;
    if ((events & (POLLIN | POLLHUP)) != 0) read_peer(peer);
    if ((events & POLLOUT) != 0 && !peer.gone) write_peer(peer);
  }
  if (ready(2)) read_console();
  if (ready(1)) take_signals();
  if (ready(3)) accept_peers();
}

void Supervisor::tell_exit(GuestExit exit) {
  const Result<os::ProcessId> self = os::identify(::getpid());
  const json::Object process{{"pid", std::int64_t{::getpid()}}, {"start_ticks", self ? self->start_ticks : std::uint64_t{0}}};
  for (Peer& peer : peers_) {
    if (peer.wants == Peer::Wants::kExit) {
      reply(peer, json::Object{{"signalled", exit.signalled}, {"status", exit.status}});
    } else if (peer.wants == Peer::Wants::kTermination) {
      reply(peer, json::Object{{"EnclaveName", launched_.info.name},
                               {"EnclaveID", launched_.info.id},
                               {"Terminated", true},
                               {"process", process}});
    }
  }
}

json::Value Supervisor::stats() const {
  json::Object out{{"EnclaveName", launched_.info.name}, {"EnclaveID", launched_.info.id}, {"State", to_string(launched_.info.state)}};
  const auto up = Steady::now() - launched_.activity->since();
  out.set("UptimeSeconds", std::chrono::duration_cast<std::chrono::seconds>(up).count());
  out.set("Restarts", restarts_);
  if (const Result<Usage> usage = launched_.guest ? usage_of(launched_.guest->pid()) : not_found("no guest"); usage.ok()) {
    out.set("Processes", usage->processes);
    out.set("Threads", usage->threads);
    out.set("CPUSeconds", usage->cpu_seconds);
    out.set("ResidentBytes", usage->resident_bytes);
  }
  out.set("MemoryMiB", launched_.info.memory_mib);
  out.set("NSMRequests", launched_.activity->nsm_requests());
  json::Array ports;
  for (const std::uint32_t port : launched_.activity->listening()) ports.emplace_back(port);
  out.set("ListenedPorts", std::move(ports));
  if (const Result<std::uint64_t> own = resident_bytes_of(::getpid()); own.ok()) out.set("SupervisorResidentBytes", *own);
  return out;
}

void Supervisor::note(std::string_view text) {
  if (launched_.info.debug_mode) ring_.write(as_bytes(fmt::format("[casemate] {}\n", text)));
}

Result<void> Supervisor::wait_ready(int nitro_cli) {
  const std::uint32_t wanted = request_.wait_ready.value_or(0);
  const auto patience = launched_.ready_patience;
  const auto deadline = Steady::now() + patience;
  for (;;) {
    const std::vector<std::uint32_t> ports = launched_.activity->listening();
    if (wanted == 0 ? !ports.empty() : std::binary_search(ports.begin(), ports.end(), wanted)) return {};
    if (launched_.guest->exit_status()) return unavailable("guest: its application ended before it listened on a vsock port");
    if (launched_.info.state == State::kTerminating) return unavailable("guest: terminated before its application listened");
    if (Steady::now() >= deadline) return unavailable("guest: listens on no such vsock port within {} s", std::chrono::duration<double>(patience).count());
    char byte = 0;
    if (::recv(nitro_cli, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return unavailable("nitro-cli went away");
    serve_once(std::chrono::milliseconds(100));
    drop_finished();
  }
}

GuestExit Supervisor::run_guest() {
  for (;;) {
    serve_once(std::chrono::milliseconds(1000));
    drop_finished();
    if (const std::optional<GuestExit> exit = launched_.guest->exit_status()) return *exit;
  }
}

bool Supervisor::should_restart(const GuestExit& exit) const {
  if (launched_.info.state == State::kTerminating || request_.restart == Restart::kNo) return false;
  if (request_.restart == Restart::kOnFailure && !exit.signalled && exit.status == 0) return false;
  return request_.restart_limit == 0 || restarts_ < request_.restart_limit;
}

// restart waits, longer after each early end, and starts another guest; false when the enclave was ended meanwhile or
// cannot be started again.
bool Supervisor::restart(const GuestExit& exit) {
  constexpr std::chrono::seconds kLongestPause{30};
  constexpr std::chrono::seconds kGoodRun{10};
  failures_in_a_row_ = Steady::now() - launched_.activity->since() > kGoodRun ? 0 : failures_in_a_row_ + 1;
  const std::chrono::milliseconds pause =
      failures_in_a_row_ < 2 ? std::chrono::milliseconds(100) : std::min<std::chrono::milliseconds>(kLongestPause, std::chrono::seconds(1) * (1 << std::min(failures_in_a_row_ - 2, 5U)));
  launched_.guest.reset();
  if (launched_.console) read_console();
  launched_.console.reset();
  ++restarts_;
  host_.log.info("enclave-restarting", {{"id", launched_.info.id}, {"status", std::to_string(exit.status)}, {"restart", std::to_string(restarts_)}});
  note(fmt::format("the application ended with {} {}; restart {} in {} ms", exit.signalled ? "signal" : "status", exit.status, restarts_, pause.count()));
  const auto until = Steady::now() + pause;
  while (Steady::now() < until && launched_.info.state != State::kTerminating) {
    serve_once(std::min(std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now()), std::chrono::milliseconds(1000)));
    drop_finished();
  }
  if (launched_.info.state == State::kTerminating) return false;
  const Result<void> again = relaunch(launched_, request_, host_);
  if (again.ok()) return true;
  host_.log.error("restart-failed", {{"id", launched_.info.id}, {"error", again.error().message()}});
  note("cannot be started again: " + again.error().message());
  return false;
}

Result<GuestExit> Supervisor::run() {
  std::optional<GuestExit> exit = run_guest();
  while (should_restart(*exit) && restart(*exit)) exit = run_guest();
  launched_.info.state = State::kEmpty;
  launched_.guest.reset();
  ended_ = true;
  if (launched_.console) read_console();
  launched_.console.reset();
  // Before the enclave is gone, so that whoever finds it gone finds its end.
  const Result<void> kept = keep_ended(
      host_.registry.paths(), {launched_.info.id, launched_.info.name, launched_.info.debug_mode, *exit, host_.clock.now()}, ring_);
  if (!kept) host_.log.warn("ended-record", {{"error", kept.error().message()}});
  launched_.listener.reset();
  const Result<void> released = host_.registry.release(launched_.entry);
  host_.log.info("enclave-ended", {{"id", launched_.info.id},
                                   {"cause", exit->signalled ? "signal" : "exit"},
                                   {"status", std::to_string(exit->status)}});
  tell_exit(*exit);
  const auto deadline = Steady::now() + kFlushPatience;
  drop_finished();
  while (!peers_.empty() && Steady::now() < deadline) {
    serve_once(std::chrono::milliseconds(100));
    drop_finished();
  }
  if (!released) return released.error();
  return *exit;
}

Result<UniqueFd> block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) return internal("signals cannot be blocked");
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return errno_error("signalfd");
  return fd;
}

Error failed(Connection& nitro_cli, StartStep step, Error error, const Log& log) {
  log.error("start-failed", {{"step", std::string(to_string(step))}, {"error", error.message()}});
  (void)nitro_cli.send(json::Object{
      {"failed", json::Object{{"step", to_string(step)}, {"code", to_string(error.code())}, {"message", error.message()}}}});
  return error;
}

}  // namespace

Result<GuestExit> supervise(UniqueFd nitro_cli, Host& host) {
  Connection first(std::move(nitro_cli));
  StartStep step = StartStep::kRequest;
  // Before any thread starts, so that all of them inherit the mask.
  Result<UniqueFd> signals = block_signals();
  if (!signals) return failed(first, step, std::move(signals).error(), host.log);
  const Result<json::Value> message = first.receive(std::chrono::seconds(10));
  if (!message) return message.error();
  const json::Value* run = message->find("run");
  Result<RunRequest> request = run == nullptr ? malformed("run: missing") : parse_run_request(*run);
  if (!request) return failed(first, step, std::move(request).error(), host.log);

  const auto say = [&first](std::string_view line) { (void)first.send(json::Object{{"say", line}}); };
  Result<Launched> launched = launch(*request, host, say, step);
  if (!launched) return failed(first, step, std::move(launched).error(), host.log);
  const EnclaveInfo& info = launched->info;
  host.log.info("enclave-started", {{"id", info.id},
                                    {"name", info.name},
                                    {"cid", std::to_string(info.cid)},
                                    {"mode", info.debug_mode ? "debug" : "production"},
                                    {"eif", request->eif_path}});
  // A daemon that stays in the caller's folder would keep its file system busy.
  if (::chdir("/") != 0) host.log.warn("chdir", {});
  const json::Object shown = run_json(info);
  UniqueFd asking = first.take_fd();
  Supervisor supervisor(launched.take(), *request, host, signals.take());
  Result<void> ready = request->wait_ready ? supervisor.wait_ready(asking.get()) : Result<void>();
  Connection starter(std::move(asking));
  Result<void> told = ready ? starter.send(json::Object{{"started", shown}}) : Result<void>();
  if (!ready || !told) {
    // Ended and put away before nitro-cli hears of it.
    supervisor.end_early();
    (void)supervisor.run();
    if (!ready) return failed(starter, StartStep::kBoot, std::move(ready).error(), host.log);
    return unavailable("nitro-cli went away before the enclave had started");
  }
  release_code_pages();
  if (request->attach_console) supervisor.attach_console(starter.take_fd());
  else starter.take_fd().reset();
  return supervisor.run();
}

}  // namespace casemate::runtime
