// SPDX-License-Identifier: Apache-2.0
// Relays side by side in one run, Unix socket to TCP on loopback: vsock-proxy's own, a bare epoll loop that copies, one
// that splices, and socat and haproxy where they are installed. Each relay is a process of its own; load and TCP server
// are two threads here. Usage: relay_bench [seconds a cell] [rounds].
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "proxy/proxy.h"

namespace casemate::proxy {
namespace {

using Clock = std::chrono::steady_clock;

std::string folder;
std::uint16_t tcp_port = 0;

std::string current;  // the relay being measured

[[noreturn]] void die(const char* what) {
  std::perror(fmt::format("{}: {}", current, what).c_str());
  std::exit(1);
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

UniqueFd unix_listener(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto address = unix_address(path);
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 1024) != 0)
    die("unix listener");
  return fd;
}

UniqueFd unix_connect(const std::string& path) {
  const auto address = unix_address(path);
  for (int i = 0; i < 2000; ++i) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    ::usleep(1000);
  }
  die("unix connect");
}

sockaddr_in server_address() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(tcp_port);
  return address;
}

// The bare loops: no look-up, no limits, no time-outs, connections for ever.
struct BareSide {
  int fd = -1;
  int other = -1;
  int pipe_in = -1;
  int pipe_out = -1;
  std::size_t held_from = 0;
  std::size_t held_to = 0;
  std::vector<char> held;
  bool ended = false;
};

void run_bare(const std::string& path, bool splicing) {
  constexpr std::size_t kBlock = 256 * 1024;
  const UniqueFd listener = unix_listener(path);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::map<int, BareSide> sides;
  std::vector<char> buffer(kBlock);
  const auto interest = [&](int op, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, op, fd, &event);
  };
  interest(EPOLL_CTL_ADD, listener.get(), EPOLLIN);
  const auto close_pair = [&](int fd) {
    const int other = sides[fd].other;
    for (const int each : {fd, other}) {
      if (sides[each].pipe_in >= 0) ::close(sides[each].pipe_in);
      if (sides[each].pipe_out >= 0) ::close(sides[each].pipe_out);
      ::close(each);
      sides.erase(each);
    }
  };
  // drain sends what is held, as far as that goes; false: the other end is gone.
  const auto drain = [&](BareSide& from) {
    while (from.held_from < from.held_to) {
      const std::size_t left = from.held_to - from.held_from;
      const ssize_t put =
          splicing ? ::splice(from.pipe_out, nullptr, from.other, nullptr, left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                   : ::send(from.other, from.held.data() + from.held_from, left, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put <= 0) return put < 0 && errno == EAGAIN;
      from.held_from += static_cast<std::size_t>(put);
    }
    from.held_from = from.held_to = 0;
    return true;
  };
  std::array<epoll_event, 256> events{};
  while (true) {
    const int count = ::epoll_wait(epoll, events.data(), 256, -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == listener.get()) {
        const int local = ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (local < 0) continue;
        const int remote = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        ::setsockopt(remote, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto address = server_address();
        if (::connect(remote, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
        ::fcntl(remote, F_SETFL, O_NONBLOCK);
        for (const auto& [fd, other] : {std::pair(local, remote), std::pair(remote, local)}) {
          BareSide side;
          side.fd = fd;
          side.other = other;
          if (splicing) {
            int pipes[2];
            if (::pipe2(pipes, O_NONBLOCK | O_CLOEXEC) != 0) die("pipe");
            ::fcntl(pipes[1], F_SETPIPE_SZ, 1024 * 1024);
            side.pipe_out = pipes[0];
            side.pipe_in = pipes[1];
          }
          sides[fd] = std::move(side);
          interest(EPOLL_CTL_ADD, fd, EPOLLIN);
        }
        continue;
      }
      const auto it = sides.find(event.data.fd);
      if (it == sides.end()) continue;
      BareSide& side = it->second;
      if ((event.events & EPOLLOUT) != 0) {
        BareSide& from = sides[side.other];
        if (!drain(from)) {
          close_pair(side.fd);
          continue;
        }
        if (from.held_to == 0) {
          interest(EPOLL_CTL_MOD, side.fd, EPOLLIN);
          interest(EPOLL_CTL_MOD, from.fd, EPOLLIN);
        }
      }
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || side.held_to > 0) continue;
      const ssize_t got =
          splicing ? ::splice(side.fd, nullptr, side.pipe_in, nullptr, 1024 * 1024, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                   : ::recv(side.fd, buffer.data(), kBlock, MSG_DONTWAIT);
      if (got <= 0) {
        if (got == 0 || errno != EAGAIN) close_pair(side.fd);
        continue;
      }
      side.held_to = static_cast<std::size_t>(got);
      if (splicing) {
        if (!drain(side)) {
          close_pair(side.fd);
          continue;
        }
      } else {
        const ssize_t put = ::send(side.other, buffer.data(), side.held_to, MSG_DONTWAIT | MSG_NOSIGNAL);
        side.held_from = put < 0 ? 0 : static_cast<std::size_t>(put);
        if (side.held_from == side.held_to) side.held_from = side.held_to = 0;
        if (side.held_to > 0) side.held.assign(buffer.begin(), buffer.begin() + got);
      }
      if (side.held_to > 0) {
        interest(EPOLL_CTL_MOD, side.fd, 0);
        interest(EPOLL_CTL_MOD, side.other, EPOLLIN | EPOLLOUT);
      }
    }
  }
}

class UnixListener final : public VsockListener {
 public:
  explicit UnixListener(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const override { return fd_.get(); }
  std::string peer(int) const override { return "bench"; }

 private:
  UniqueFd fd_;
};

void run_ours(const std::string& path) {
  const auto loop = net::Loop::create(Relay::kBatch).take();
  net::Pool pool("dns", 1);
  const HostPort remote{"127.0.0.1", tcp_port};
  Resolver resolver(*loop, pool, system_lookup, {}, std::chrono::seconds(30), std::chrono::hours(1));
  ProxyOptions options;
  options.relay.idle_timeout = std::chrono::hours(1);
  Proxy proxy(*loop, resolver, options, Log());
  if (!proxy.add_route({8000, remote}, {}, std::make_unique<UnixListener>(unix_listener(path))).ok()) die("route");
  loop->run();
}

struct Relayer {
  std::string name;
  std::function<void(const std::string&)> run;  // never returns
};

class Process {
 public:
  Process(const Relayer& relayer, const std::string& path) {
    ::unlink(path.c_str());
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setpgid(0, 0);
      relayer.run(path);
      std::_Exit(1);
    }
    ::setpgid(pid_, pid_);
  }
  ~Process() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::size_t resident_kib() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::strtoul(line.c_str() + 6, nullptr, 10);
    }
    return 0;
  }

 private:
  pid_t pid_ = -1;
};

enum class Serving { kSink, kEcho };

// TcpServer reads and counts, or echoes, on a thread of its own.
class TcpServer {
 public:
  TcpServer() {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = server_address();
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 4096) != 0)
      die("server");
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    tcp_port = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
    thread_.detach();
  }
  std::atomic<Serving> serving{Serving::kEcho};
  std::atomic<std::uint64_t> bytes{0};

 private:
  void serve() {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = listener_.get();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener_.get(), &event);
    std::vector<char> buffer(256 * 1024);
    std::array<epoll_event, 256> events{};
    // A relay that was forked meanwhile keeps the description open, so that closing alone would leave it in the set.
    const auto end = [&](int fd) {
      ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
      ::close(fd);
    };
    while (true) {
      const int count = ::epoll_wait(epoll, events.data(), 256, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == listener_.get()) {
          const int accepted = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (accepted < 0) continue;
          const int on = 1;
          ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          event.data.fd = accepted;
          ::epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
          continue;
        }
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got <= 0) {
          if (got == 0 || errno != EAGAIN) end(fd);
          continue;
        }
        bytes += static_cast<std::uint64_t>(got);
        if (serving == Serving::kEcho && ::send(fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) < 0)
          end(fd);
      }
    }
  }
  UniqueFd listener_;
  std::thread thread_;
};

std::vector<UniqueFd> connect_many(const std::string& path, int connections) {
  std::vector<UniqueFd> out;
  for (int i = 0; i < connections; ++i) {
    out.push_back(unix_connect(path));
    char byte = 'x';
    if (::send(out.back().get(), &byte, 1, MSG_NOSIGNAL) != 1 || ::recv(out.back().get(), &byte, 1, 0) != 1)
      die("first byte");
  }
  return out;
}

double bulk(TcpServer& server, const std::string& path, int connections, double seconds) {
  server.serving = Serving::kEcho;
  const auto clients = connect_many(path, connections);
  server.serving = Serving::kSink;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (const auto& each : clients) {
    ::fcntl(each.get(), F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.fd = each.get();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, each.get(), &event);
  }
  const std::vector<char> block(256 * 1024, 'b');
  std::array<epoll_event, 256> events{};
  const auto begin = Clock::now();
  const auto first = server.bytes.load();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const int count = ::epoll_wait(epoll, events.data(), 256, 100);
    for (int i = 0; i < count; ++i)
      [[maybe_unused]] const auto put =
          ::send(events[static_cast<std::size_t>(i)].data.fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  const double rate = static_cast<double>(server.bytes.load() - first) /
                      std::chrono::duration<double>(Clock::now() - begin).count() / 1e9;
  ::close(epoll);
  return rate;
}

double ping_pong(TcpServer& server, const std::string& path, int connections, double seconds) {
  server.serving = Serving::kEcho;
  const auto clients = connect_many(path, connections);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  char message[64] = {};
  for (const auto& each : clients) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = each.get();
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, each.get(), &event);
    if (::send(each.get(), message, sizeof message, MSG_NOSIGNAL) < 0) die("send");
  }
  std::array<epoll_event, 256> events{};
  std::uint64_t round_trips = 0;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const int count = ::epoll_wait(epoll, events.data(), 256, 100);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (::recv(fd, message, sizeof message, 0) <= 0 || ::send(fd, message, sizeof message, MSG_NOSIGNAL) < 0)
        die("ping");
      ++round_trips;
    }
  }
  const double rate = static_cast<double>(round_trips) / std::chrono::duration<double>(Clock::now() - begin).count();
  ::close(epoll);
  return rate;
}

double connection_rate(TcpServer& server, const std::string& path, double seconds) {
  server.serving = Serving::kEcho;
  std::uint64_t done = 0;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    connect_many(path, 1);
    ++done;
  }
  return static_cast<double>(done) / std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool installed(const char* program) {
  return std::system(fmt::format("command -v {} >/dev/null 2>&1", program).c_str()) == 0;
}

std::vector<Relayer> relayers() {
  std::vector<Relayer> out{
      {"casemate", run_ours},
      {"bare copy", [](const std::string& path) { run_bare(path, false); }},
      {"bare splice", [](const std::string& path) { run_bare(path, true); }},
  };
  if (installed("socat")) {
    out.push_back({"socat", [](const std::string& path) {
                     ::execlp("socat", "socat", "-lf/dev/null", "-b", "262144",
                              fmt::format("UNIX-LISTEN:{},fork,backlog=1024", path).c_str(),
                              fmt::format("TCP:127.0.0.1:{},nodelay", tcp_port).c_str(), nullptr);
                   }});
  }
  if (installed("haproxy")) {
    out.push_back({"haproxy", [](const std::string& path) {
                     const std::string config = folder + "/haproxy.cfg";
                     std::ofstream(config) << "global\n maxconn 7000\n nbthread 1\ndefaults\n mode tcp\n timeout "
                                              "connect 5s\n timeout client 1h\n timeout server 1h\n"
                                           << " option splice-auto\nlisten bench\n bind unix@" << path
                                           << "\n server tcp 127.0.0.1:" << tcp_port << "\n";
                     ::execlp("haproxy", "haproxy", "-db", "-q", "-f", config.c_str(), nullptr);
                   }});
  }
  return out;
}

void measure_idle(const Relayer& relayer) {
  const std::string path = folder + "/idle";
  std::vector<UniqueFd> clients;
  const Process process(relayer, path);
  clients = connect_many(path, 1);
  const auto before = process.resident_kib();
  // Both ends of every connection are descriptors of this process, as both of the relay's are of that one.
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int many = static_cast<int>(std::min<rlim_t>(10'000, (limit.rlim_cur - 200) / 2));
  for (auto& each : connect_many(path, many)) clients.push_back(std::move(each));
  fmt::print("{:<12} {} idle connections: {} MiB resident ({} MiB before)\n", relayer.name, many,
             process.resident_kib() / 1024, before / 1024);
}

int run(double seconds, int rounds) {
  char name[] = "/tmp/relay-bench-XXXXXX";
  if (::mkdtemp(name) == nullptr) die("mkdtemp");
  folder = name;
  TcpServer server;
  const auto all = relayers();
  constexpr std::array<const char*, 5> kCells{"GB/s 1", "GB/s 64", "conn/s", "pingpong 1", "pingpong 64"};
  std::map<std::string, std::array<std::vector<double>, 5>> results;
  for (int round = 0; round < rounds; ++round) {
    for (const auto& relayer : all) {
      const std::string path = folder + "/relay";
      current = relayer.name;
      const Process process(relayer, path);
      auto& cells = results[relayer.name];
      std::fprintf(stderr, "round %d of %d: %s\n", round + 1, rounds, relayer.name.c_str());
      cells[0].push_back(bulk(server, path, 1, seconds));
      cells[1].push_back(bulk(server, path, 64, seconds));
      cells[2].push_back(connection_rate(server, path, seconds));
      cells[3].push_back(ping_pong(server, path, 1, seconds));
      cells[4].push_back(ping_pong(server, path, 64, seconds));
    }
  }
  fmt::print("{:<12}", "median");
  for (const auto* cell : kCells) fmt::print(" {:>12}", cell);
  fmt::print("\n");
  for (const auto& relayer : all) {
    fmt::print("{:<12}", relayer.name);
    for (std::size_t i = 0; i < kCells.size(); ++i)
      fmt::print(" {:>12.{}f}", median(results[relayer.name][i]), i < 2 ? 2 : 0);
    fmt::print("\n");
  }
  // Relays of one round run within seconds of each other, rounds within minutes: a ratio is taken within its round.
  fmt::print("{:<12}", "to best bare");
  for (std::size_t i = 0; i < kCells.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < static_cast<std::size_t>(rounds); ++round) {
      const auto rate = [&](const char* relayer) { return results[relayer][i][round]; };
      ratios.push_back(rate("casemate") / std::max(rate("bare copy"), rate("bare splice")));
    }
    fmt::print(" {:>12.2f}", median(ratios));
  }
  fmt::print("\n");
  measure_idle(all.front());
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace casemate::proxy

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return casemate::proxy::run(argc > 1 ? std::atof(argv[1]) : 1.0, argc > 2 ? std::atoi(argv[2]) : 3);
}
