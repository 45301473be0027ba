// SPDX-License-Identifier: Apache-2.0
// Peers that mean harm: each attack by name, with another peer served meanwhile and memory that stays where it was.
#include <atomic>
#include <fstream>

#include "net/test_server.h"

namespace casemate::net {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

constexpr std::size_t kMebibyte = 1024 * 1024;

std::size_t resident_bytes() {
  std::size_t whole = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> whole >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// send_for_long sends pieces until the server has had enough, at most `most` bytes; it gives what was sent.
std::size_t send_for_long(Client& client, const std::string& piece, std::size_t most) {
  std::size_t sent = 0;
  while (sent < most && client.send(piece)) sent += piece.size();
  return sent;
}

class HostileHttp : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    running_ = std::make_unique<Running>(options);
    const auto note = [this](const http::Request& request) {
      if (request.target.find("smuggled") != std::string::npos) ++smuggled_;
      return echo(request);
    };
    port_ = running_->listen(note);
    tls_port_ = running_->listen(note, true);
    running_->start();
    expect_others_served();
    before_ = resident_bytes();
  }
  // Others are served while the attack lasts.
  void expect_others_served() {
    Client good(port_);
    good.send("GET /good HTTP/1.0\r\nHost: x\r\n\r\n");
    EXPECT_THAT(good.read_all(), StartsWith("HTTP/1.1 200 "));
  }
  void expect_small() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which keep what is freed
    EXPECT_LT(resident_bytes(), before_ + 16 * kMebibyte);
#endif
  }
  // refused sends bytes that hold a second request, and gives the answer: a refusal, and the end of the connection.
  std::string refused(const std::string& bytes) {
    Client client(port_);
    client.send(bytes);
    const std::string answer = client.read_all();
    EXPECT_TRUE(client.ended()) << bytes;
    EXPECT_EQ(smuggled_, 0) << bytes;
    return answer;
  }

  std::unique_ptr<Running> running_;
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
  std::atomic<int> smuggled_ = 0;
  std::size_t before_ = 0;
};

TEST_F(HostileHttp, Slowloris) {
  start({.handshake_timeout = 500ms, .head_timeout = 500ms, .body_timeout = 500ms});
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 150; ++i) {
    slow.push_back(std::make_unique<Client>(i % 3 == 2 ? tls_port_ : port_));
    slow.back()->send(i % 3 == 2 ? std::string("\x16\x03\x01\x02", 4)
                      : i % 3 == 1 ? "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
                                   : "GET / HTTP/1.1\r\nHost: x\r\n");
  }
  expect_others_served();
  expect_small();
  // A byte now and then gains nothing.
  for (int round = 0; round < 8; ++round) {
    for (const auto& client : slow) client->send("a");
    std::this_thread::sleep_for(100ms);
  }
  for (const auto& client : slow) {
    client->read_all();
    EXPECT_TRUE(client->ended());
  }
  expect_others_served();
}

TEST_F(HostileHttp, HeaderFloods) {
  start();
  const std::string lines = [] {
    std::string out;
    for (int i = 0; i < 1000; ++i) out += fmt::format("x{}: y\r\n", i);
    return out;
  }();
  for (const std::string& piece : {std::string(64 * 1024, 'a'), lines, std::string("\r\n"), std::string(1000, '\n')}) {
    Client client(port_);
    client.send("GET / HTTP/1.1\r\nHost: x\r\nA: ");
    EXPECT_LT(send_for_long(client, piece, 256 * kMebibyte), 64 * kMebibyte);
    expect_others_served();
  }
  for (const std::string& line : {"GET /" + std::string(70'000, 'a'), std::string(70'000, 'G')})
    EXPECT_THAT(refused(line), StartsWith("HTTP/1.1 4"));
  expect_small();
}

TEST_F(HostileHttp, RequestSmuggling) {
  start();
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string forms[] = {
      "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  // CL.TE
      "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",           // TE.CL
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
      "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "Content-Length: 0\r\nContent-Length: 34\r\n\r\n",  // two lengths
      "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
      "Content-Length: 0, 34\r\n\r\n",
      "Content-Length: 0x0\r\n\r\n",
      "Content-Length: +0\r\n\r\n",
      "Content-Length: 00000000000000000000000000000000000000000000000000000000000000000000000034e\r\n\r\n",
      "X: a\r\n Content-Length: 0\r\n\r\n",  // obs-fold
      "X: a\r\n\tTransfer-Encoding: chunked\r\n\r\n",
      "X: a\nContent-Length: 0\r\n\r\n",  // bare LF
      "X: a\rContent-Length: 0\r\n\r\n",  // bare CR
      "Content-Length: 0\n\n",
      std::string("X: a\0Content-Length: 0\r\n\r\n", 27),
      "Host: y\r\nContent-Length: 0\r\n\r\n",  // two hosts
  };
  for (const std::string& form : forms) {
    const std::string answer = refused("POST / HTTP/1.1\r\nHost: x\r\n" + form + smuggled);
    EXPECT_THAT(answer, testing::AnyOf(StartsWith("HTTP/1.1 400 "), StartsWith("HTTP/1.1 501 "))) << form;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "a second answer: " << answer;
  }
  expect_others_served();
  EXPECT_EQ(running_->stats().rejected, std::size(forms));
}

TEST_F(HostileHttp, GibibyteBodies) {
  start({.body_bytes = kMebibyte});
  EXPECT_THAT(refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  constexpr std::size_t kGibibyte = 1024 * kMebibyte;
  const std::string plain(64 * 1024, 'x');
  for (const bool chunked : {false, true}) {
    Client client(port_);
    client.send(chunked ? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
    EXPECT_LT(send_for_long(client, chunked ? "10000\r\n" + plain + "\r\n" : plain, kGibibyte), 64 * kMebibyte);
    expect_others_served();
  }
  // As much as is allowed, from many at once, and never finished.
  std::vector<std::unique_ptr<Client>> many;
  for (int i = 0; i < 8; ++i) {
    many.push_back(std::make_unique<Client>(port_));
    many.back()->send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
    many.back()->send(plain);
  }
  expect_others_served();
  expect_small();
}

TEST_F(HostileHttp, BadChunking) {
  start({.body_bytes = 64 * 1024});
  const std::string smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const std::string& chunks :
       {std::string("zz\r\n"), std::string("-1\r\n"), std::string("0x3\r\nabc\r\n"), std::string(" 3\r\nabc\r\n"),
        std::string("3\r\nabcd\r\n"), std::string("3\r\nabcXX"), std::string("3\nabc\n0\n\n"), std::string("\r\n"),
        std::string("ffffffffffffffff\r\n"), std::string("10000000000000000\r\n"), std::string("3;\x01\r\nabc"),
        std::string(5000, '0') + "3\r\nabc\r\n", "3;" + std::string(20'000, 'e') + "\r\nabc\r\n"}) {
    const std::string answer =
        refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + smuggled);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 4")) << chunks.substr(0, 40);
  }
  // Empty extensions and chunks of one byte cost the sender more than the server.
  Client client(port_);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string small;
  for (int i = 0; i < 8192; ++i) small += "1\r\na\r\n";
  EXPECT_LT(send_for_long(client, small, 256 * kMebibyte), 64 * kMebibyte);
  expect_others_served();
  expect_small();
}

TEST_F(HostileHttp, TlsGarbageAndRenegotiation) {
  start({.handshake_timeout = 500ms});
  const std::string garbage[] = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'x'),                   // a record beyond the limit
      std::string("\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9),                              // an empty hello
      std::string("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9) + std::string(16'379, '\0'),  // a message of 16 MiB
      std::string("\x15\x03\x01\x00\x02\x02\x28", 7),                                      // an alert first
      std::string("\x17\x03\x03\x00\x10", 5) + std::string(16, 'd'),                       // data first
      std::string("\x80\x2e\x01\x00\x02", 5) + std::string(41, '\0'),                      // SSL 2
      std::string(100'000, '\xff'),
  };
  for (const std::string& bytes : garbage) {
    Client client(tls_port_);
    client.send(bytes);
    client.read_all();
    EXPECT_TRUE(client.ended()) << bytes.size();
    expect_others_served();
  }
  const auto client = fmt::format("timeout 10 openssl s_client -connect 127.0.0.1:{} ", tls_port_);
  EXPECT_THAT(shell("(sleep 0.3; echo R; sleep 0.3) | " + client + "-tls1_2"), testing::HasSubstr("no renegotiation"));
  EXPECT_THAT(shell(fmt::format("curl -sk -m 10 https://localhost:{}/after", tls_port_)), StartsWith("GET /after"));
  // Some say that they end before the server does, some never say anything more.
  const ServerStats stats = running_->stats();
  EXPECT_GE(stats.tls_failures + stats.timed_out + stats.rejected, std::size(garbage));
  expect_small();
}

}  // namespace
}  // namespace casemate::net
