// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <atomic>

#include "net/test_server.h"
#include "net/tls_context.h"

namespace casemate::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  Running running;
  const auto port = running.listen(echo);
  running.start();
  Client client(port);
  client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_answers(1), HasSubstr("X-Peer: 127.0.0.1 plain\r\n"));
  client.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz");
  const auto answer = client.read_all();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nPOST /b xyz"));
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Running running;
  const auto port = running.listen(echo);
  running.start();
  Client client(port);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
  many += "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::thread writer([&] { EXPECT_TRUE(client.send(many)); });
  const auto answers = client.read_all();
  writer.join();
  std::size_t at = 0;
  for (int i = 0; i < 2000; ++i) {
    at = answers.find(fmt::format("GET /{} ", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_NE(answers.find("GET /last ", at), std::string::npos);
}

// A peer that pipelines large answers and reads none of them holds a bounded backlog.
TEST(HttpServer, StopsReadingFromAPeerThatDoesNotRead) {
  Running running;
  std::atomic<int> handled{0};
  const auto port = running.listen([&](const http::Request&) {
    ++handled;
    http::Response response;
    response.body.assign(256 * 1024, 'a');
    return response;
  });
  running.start();
  Client client(port);
  std::string many;
  for (int i = 0; i < 400; ++i) many += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(many);
  std::this_thread::sleep_for(300ms);
  EXPECT_LT(handled.load(), 100);
  client.half_close();
  std::size_t total = 0;
  char buffer[65536];
  for (ssize_t got = 0; (got = ::recv(client.fd(), buffer, sizeof buffer, 0)) > 0;)
    total += static_cast<std::size_t>(got);
  EXPECT_GT(total, 400U * 256 * 1024);
  EXPECT_EQ(handled.load(), 400);
}

TEST(HttpServer, AsksForAnExpectedBody) {
  Running running;
  const auto port = running.listen(echo);
  running.start();
  Client client(port);
  client.send("PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_answers(1), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_THAT(client.read_all(), HasSubstr("PUT /c ok"));
}

TEST(HttpServer, RejectsAndClosesWithTheReason) {
  Running running({.body_bytes = 1000});
  const auto port = running.listen(echo);
  running.start();
  const std::pair<std::string, std::string> cases[] = {
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 400 "},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n" + std::string(200'000, 'x'), "HTTP/1.1 413 "},
      {"GET /" + std::string(70'000, 'a'), "HTTP/1.1 431 "},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "},
      {std::string("\x16\x03\x01\x02\x00garbage\r\n\r\n", 16), "HTTP/1.1 400 "},
  };
  for (const auto& [request, status] : cases) {
    Client client(port);
    client.send(request);
    const auto answer = client.read_all();
    EXPECT_THAT(answer, StartsWith(status)) << request.substr(0, 60);
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(client.ended());
  }
  Client client(port);
  client.send("GET /still HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_all(), HasSubstr("GET /still"));
  EXPECT_EQ(running.stats().rejected, std::size(cases));
}

TEST(HttpServer, SendsNoBodyToHeadAndNoSplitHeaders) {
  Running running;
  const auto port = running.listen(echo);
  running.start();
  Client client(port);
  client.send("HEAD /split HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto answer = client.read_all();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 12\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Bad: a  X-Injected: b\r\n"));
}

TEST(HttpServer, TimesOutSlowPeersAndServesOthers) {
  Running running({.head_timeout = 200ms, .body_timeout = 200ms, .idle_timeout = 300ms});
  const auto port = running.listen(echo);
  running.start();
  Client slow_head(port);
  Client slow_body(port);
  Client idle(port);
  slow_body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  bool accepted = true;
  for (int i = 0; i < 40 && accepted; ++i) {
    accepted = slow_head.send("G");
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_THAT(slow_head.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(slow_body.read_all(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_TRUE(idle.ended());
  Client good(port);
  good.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(good.read_all(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(running.stats().timed_out, 2U);
}

TEST(HttpServer, LetsTheOldestSilentPeerGiveWay) {
  Running running({.connections = 8});
  const auto port = running.listen(echo);
  running.start();
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<Client>(port));
    silent.back()->send("GET / HT");
  }
  Client good(port);
  good.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(good.read_all(), StartsWith("HTTP/1.1 200 "));
  EXPECT_LE(running.stats().open, 8U);
}

TEST(HttpServer, HoldsTheLimitPerPeer) {
  Running running({.connections_per_peer = 2});
  const auto port = running.listen(echo);
  running.start();
  Client a(port);
  Client b(port);
  Client c(port);
  EXPECT_EQ(c.read_all(), "");
  EXPECT_EQ(running.stats().refused, 1U);
}

TEST(HttpServer, AnswersFromAPoolInOrder) {
  Pool pool("test", 4);
  Running running;
  const auto port = running.listen(on_pool(pool, [](const http::Request& request) {
    if (request.target == "/slow") std::this_thread::sleep_for(100ms);
    return echo(request);
  }));
  running.start();
  Client client(port);
  client.send(
      "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nleft over");
  const auto answers = client.read_all();
  EXPECT_LT(answers.find("GET /slow"), answers.find("GET /fast"));
  EXPECT_NE(answers.find("GET /fast"), std::string::npos);
}

TEST(HttpServer, SurvivesALateAnswerAndAForgottenOne) {
  Running running;
  std::optional<Reply> kept;
  const auto port = running.listen([&](http::Request request, Reply reply) {
    if (request.target == "/keep") kept = reply;
  });
  running.start();
  {
    Client client(port);
    client.send("GET /forget HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 500 "));
    Client gone(port);
    gone.send("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!running.on_loop([&] { return kept.has_value(); })) std::this_thread::sleep_for(1ms);
    const linger reset{1, 0};
    ::setsockopt(gone.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  while (running.stats().open > 0) std::this_thread::sleep_for(1ms);
  (*kept)({});
  kept.reset();
  Client client(port);
  client.send("GET /forget HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 500 "));
}

TEST(HttpServer, DrainsAfterAnsweringWhatIsUnderWay) {
  Pool pool("test", 1);
  Running running;
  std::atomic<bool> entered{false};
  const auto port = running.listen(on_pool(pool, [&](const http::Request& request) {
    entered = true;
    std::this_thread::sleep_for(150ms);
    return echo(request);
  }));
  running.start();
  Client idle(port);
  Client busy(port);
  busy.send("GET /under-way HTTP/1.1\r\nHost: x\r\n\r\n");
  while (!entered) std::this_thread::sleep_for(1ms);
  std::promise<void> drained;
  running.loop().post([&] { running.server().drain(5s, [&] { drained.set_value(); }); });
  const auto answer = busy.read_all();
  EXPECT_THAT(answer, HasSubstr("GET /under-way"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_EQ(idle.read_all(), "");
  ::shutdown(busy.fd(), SHUT_RDWR);
  ::shutdown(idle.fd(), SHUT_RDWR);
  EXPECT_EQ(drained.get_future().wait_for(4s), std::future_status::ready);
}

TEST(HttpServer, ServesCurlOverTls) {
  Running running;
  const auto port = running.listen(echo, true);
  running.start();
  const auto url = fmt::format("https://localhost:{}", port);
  const auto out = shell("curl -sk --http2 -m 10 -D - -d abc " + url + "/x " + url + "/y");
  EXPECT_THAT(out, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(out, HasSubstr("X-Peer: 127.0.0.1 tls"));
  EXPECT_THAT(out, HasSubstr("POST /x abc"));
  EXPECT_THAT(out, HasSubstr("POST /y abc"));
  EXPECT_THAT(shell("head -c 3000000 /dev/zero | tr '\\0' a | curl -sk -m 10 -T - " + url + "/chunked | wc -c"),
              HasSubstr("300001"));
  EXPECT_THAT(shell(fmt::format("curl -s -m 10 http://localhost:{}/", port)), HasSubstr("plain HTTP request"));
}

TEST(HttpServer, SpeaksNoOldTlsAndNoHttp2) {
  Running running;
  const auto port = running.listen(echo, true);
  running.start();
  const auto client = fmt::format("timeout 10 openssl s_client -connect 127.0.0.1:{} ", port);
  EXPECT_THAT(shell(client + "-alpn h2,http/1.1 </dev/null"), HasSubstr("ALPN protocol: http/1.1"));
  EXPECT_THAT(shell(client + "-alpn h2 </dev/null"), HasSubstr("no application protocol"));
  EXPECT_THAT(shell(client + "-tls1_2 </dev/null"), HasSubstr("Protocol  : TLSv1.2"));
  EXPECT_THAT(shell(client + "-tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null"),
              testing::Not(HasSubstr("Verify return code: 18")));
  EXPECT_THAT(shell("(sleep 0.3; echo R; sleep 0.3) | " + client + "-tls1_2"), HasSubstr("no renegotiation"));
  EXPECT_GE(running.stats().tls_failures, 1U);
}

TEST(HttpServer, ReplacesItsIdentity) {
  Running running;
  const auto port = running.listen(echo, true);
  running.start();
  const auto fingerprint = fmt::format(
      "openssl s_client -connect 127.0.0.1:{} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256", port);
  const auto before = shell(fingerprint);
  auto broken = make_identity();
  broken.private_key_pem = make_identity().private_key_pem.clone();
  EXPECT_THAT(running.on_loop([&] { return running.server().replace_identity(broken); }),
              IsError(ErrorCode::kMalformed, HasSubstr("does not belong")));
  EXPECT_EQ(shell(fingerprint), before);
  EXPECT_THAT(running.on_loop([&] { return running.server().replace_identity(make_identity()); }), IsOk());
  EXPECT_NE(shell(fingerprint), before);
}

TEST(HttpServer, NamesAPortInUse) {
  Running running;
  const auto port = running.listen(echo);
  EXPECT_THAT(running.server().listen({.port = port, .tls = {}}, Handler(echo)),
              IsError(ErrorCode::kUnavailable, fmt::format("127.0.0.1:{}: address in use", port)));
  EXPECT_THAT(running.server().listen({.address = "localhost", .tls = {}}, Handler(echo)),
              IsError(ErrorCode::kMalformed));
}

TEST(Loop, FiresTimersAndStopsCancelledOnes) {
  auto loop = Loop::create().take();
  int fired = 0;
  Timer never = loop->after(1ms, [&] { fired += 100; });
  never.cancel();
  Timer every = loop->every(2ms, [&] {
    if (++fired == 3) loop->stop();
  });
  loop->run();
  EXPECT_EQ(fired, 3);
}

TEST(Loop, TakesSignals) {
  auto loop = Loop::create().take();
  int got = 0;
  ASSERT_THAT(loop->on_signals({SIGUSR1},
                               [&](int signal) {
                                 got = signal;
                                 loop->stop();
                               }),
              IsOk());
  ::kill(::getpid(), SIGUSR1);
  loop->run();
  EXPECT_EQ(got, SIGUSR1);
}

TEST(Loop, LetsAWatchCancelItselfAndItsNeighbour) {
  auto loop = Loop::create().take();
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  const UniqueFd reader(pipes[0]);
  const UniqueFd writer(pipes[1]);
  const UniqueFd other(::dup(reader.get()));
  ASSERT_EQ(::write(writer.get(), "x", 1), 1);
  FdWatch first;
  FdWatch second;
  int calls = 0;
  const auto ready = [&](std::uint32_t) {
    ++calls;
    first.cancel();
    second.cancel();
    loop->post([&] { loop->stop(); });
  };
  first = loop->watch(reader.get(), EPOLLIN, ready).take();
  second = loop->watch(other.get(), EPOLLIN, ready).take();
  loop->run();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace casemate::net
