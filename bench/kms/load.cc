// SPDX-License-Identifier: Apache-2.0
// Sends one HTTP request over and over on a number of TLS connections with keep-alive, each with one request under way,
// and prints what came back: requests a second, latencies, answers that were not 200. Where the server closes after an
// answer the next request takes a connection of its own.
//
// usage: kms_load HOST PORT REQUEST_FILE CONNECTIONS SECONDS
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <latch>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Tally {
  std::vector<std::uint32_t> microseconds;
  std::size_t others = 0;
};

int connect_to(const char* host, const char* port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host, port, &hints, &found) != 0) return -1;
  const int fd = ::socket(found->ai_family, SOCK_STREAM, 0);
  const int connected = ::connect(fd, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connected == 0 ? fd : -1;
}

struct Answer {
  int status = 0;  // 0: the connection ended
  bool closes = false;
};

Answer read_response(SSL* ssl, std::string& buffer) {
  std::size_t head = std::string::npos;
  std::size_t body = 0;
  Answer answer;
  while (true) {
    if (head == std::string::npos) {
      head = buffer.find("\r\n\r\n");
      if (head != std::string::npos) {
        std::string lower = buffer.substr(0, head);
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
        const std::size_t at = lower.find("content-length:");
        if (at != std::string::npos) body = std::strtoul(lower.c_str() + at + 15, nullptr, 10);
        answer.closes = lower.starts_with("http/1.0") || lower.find("connection: close") != std::string::npos;
      }
    }
    if (head != std::string::npos && buffer.size() >= head + 4 + body) {
      answer.status = std::atoi(buffer.c_str() + 9);
      buffer.erase(0, head + 4 + body);
      return answer;
    }
    char chunk[16384];
    const int got = SSL_read(ssl, chunk, sizeof chunk);
    if (got <= 0) return {};
    buffer.append(chunk, static_cast<std::size_t>(got));
  }
}

class Client {
 public:
  Client(SSL_CTX* context, const char* host, const char* port) : fd_(connect_to(host, port)), ssl_(SSL_new(context)) {
    SSL_set_fd(ssl_, fd_);
    if (fd_ < 0 || SSL_connect(ssl_) != 1) std::abort();
  }
  ~Client() {
    SSL_free(ssl_);
    ::close(fd_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Answer call(const std::string& request) {
    if (SSL_write(ssl_, request.data(), static_cast<int>(request.size())) <= 0) std::abort();
    return read_response(ssl_, buffer_);
  }

 private:
  int fd_;
  SSL* ssl_;
  std::string buffer_;
};

void drive(SSL_CTX* context, const char* host, const char* port, const std::string& request, std::latch& ready,
           const std::atomic<bool>& ending, Tally& tally) {
  auto client = std::make_unique<Client>(context, host, port);
  ready.arrive_and_wait();
  while (!ending) {
    const auto begun = Clock::now();
    if (client == nullptr) client = std::make_unique<Client>(context, host, port);
    const Answer answer = client->call(request);
    if (answer.status != 200) ++tally.others;
    if (answer.status == 0) break;
    tally.microseconds.push_back(static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count()));
    if (answer.closes) client.reset();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: kms_load HOST PORT REQUEST_FILE CONNECTIONS SECONDS\n");
    return 2;
  }
  std::ifstream file(argv[3], std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  const std::string request = content.str();
  const auto connections = static_cast<std::size_t>(std::atoi(argv[4]));
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  std::atomic<bool> ending = false;
  std::vector<Tally> tallies(connections);
  std::vector<std::thread> threads;
  std::latch ready(static_cast<std::ptrdiff_t>(connections) + 1);
  for (Tally& tally : tallies) {
    threads.emplace_back([&] { drive(context, argv[1], argv[2], request, ready, ending, tally); });
  }
  ready.arrive_and_wait();
  const auto begun = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(argv[5])));
  ending = true;
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  std::vector<std::uint32_t> all;
  std::size_t others = 0;
  for (const Tally& tally : tallies) {
    all.insert(all.end(), tally.microseconds.begin(), tally.microseconds.end());
    others += tally.others;
  }
  std::sort(all.begin(), all.end());
  if (all.empty()) return 1;
  std::printf("%.0f %u %u %zu\n", static_cast<double>(all.size()) / seconds, all[all.size() / 2],
              all[std::min(all.size() - 1, all.size() * 99 / 100)], others);
  SSL_CTX_free(context);
  return 0;
}
