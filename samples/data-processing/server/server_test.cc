// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/encoding.h"
#include "base/test_matchers.h"

namespace data_processing {
namespace {

using casemate::as_bytes;
using casemate::Error;
using casemate::ErrorCode;
using casemate::IsOk;
using casemate::Result;
using casemate::Secret;
using casemate::UniqueFd;
using casemate::message::Fields;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr char kValue[] = "9245534598502032";

Fields good_request(std::string_view ciphertext = "good") {
  return {{"access_key_id", "ASIA"}, {"secret_access_key", "key"}, {"token", "token"},
          {"region", "us-east-1"},   {"ciphertext", casemate::encode_base64(as_bytes(ciphertext))}};
}

Result<Secret> fake_decrypt(const Job& job) {
  const std::string_view text = casemate::as_text(job.ciphertext);
  if (text == "good") return Secret::copy_of(as_bytes(kValue));
  if (text == "short") return Secret::copy_of(as_bytes("123"));
  return Error(ErrorCode::kDenied, "KMS Decrypt: AccessDeniedException: User: x is not authorized");
}

// Running serves on a Unix socket and keeps what the server prints.
class Running {
 public:
  explicit Running(ServerOptions options = {}, Decryptor decrypt = fake_decrypt) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    // A name in the abstract space, chosen by the kernel.
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(sa_family_t)), 0);
    size_ = sizeof address_;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &size_), 0);
    EXPECT_EQ(::listen(listener_.get(), 128), 0);
    int stop[2];
    EXPECT_EQ(::pipe(stop), 0);
    stop_.reset(stop[0]);
    stopper_.reset(stop[1]);
    int out[2];
    EXPECT_EQ(::pipe2(out, O_NONBLOCK), 0);
    printed_.reset(out[0]);
    out_.reset(out[1]);
    thread_ = std::thread([this, options, decrypt] {
      Server server(options, decrypt, out_.get());
      EXPECT_THAT(server.serve(listener_.get(), stop_.get()), IsOk());
    });
  }
  ~Running() {
    stopper_.reset();
    thread_.join();
  }

  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), size_), 0);
    return fd;
  }

  // send writes raw bytes, as far as the server takes them, and returns the reply.
  std::string send(std::string_view text, bool half_close = false) const {
    const UniqueFd fd = connect();
    ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (half_close) ::shutdown(fd.get(), SHUT_WR);
    return reply(fd.get());
  }
  static std::string reply(int fd) {
    const auto fields = casemate::message::receive(fd, 20s);
    if (!fields) return "no reply: " + fields.error().message();
    return fields->find("last_four") != nullptr ? *fields->find("last_four") : *fields->find("error");
  }

  std::string printed() const {
    char text[65536];
    const ssize_t count = ::read(printed_.get(), text, sizeof text);
    return std::string(text, count < 0 ? 0 : static_cast<std::size_t>(count));
  }

 private:
  UniqueFd listener_, stop_, stopper_, out_, printed_;
  sockaddr_un address_{};
  socklen_t size_ = 0;
  std::thread thread_;
};

TEST(Server, ReturnsTheLastFourAndPrintsTheValue) {
  const Running server;
  EXPECT_EQ(server.send(encode(good_request())), "2032");
  EXPECT_EQ(server.printed(), std::string(kValue) + "\n");
}

TEST(Server, PassesOnWhatKmsSays) {
  const Running server;
  EXPECT_EQ(server.send(encode(good_request("other"))), "KMS Decrypt: AccessDeniedException: User: x is not authorized");
  EXPECT_EQ(server.printed(), "");
}

TEST(Server, NamesWhatIsWrongWithARequest) {
  const Running server;
  EXPECT_THAT(server.send("garbage\n"), HasSubstr("not a JSON object"));
  EXPECT_THAT(server.send("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(server.send("{\"a\": }"), HasSubstr("json: offset"));
  EXPECT_THAT(server.send("{\"region\": \"x\", \"region\": \"y\"}"), HasSubstr("occurs twice"));
  EXPECT_THAT(server.send("{\"access_key_id\": 1}"), HasSubstr("want a string"));
  EXPECT_THAT(server.send("{}"), HasSubstr("no member \"access_key_id\""));
  EXPECT_THAT(server.send("{\"access_key_id\": \"A", true), HasSubstr("before its object does"));
  EXPECT_THAT(server.send(encode(good_request("short"))), HasSubstr("shorter than 4"));
  Fields bad = good_request();
  Fields changed;
  for (const auto& [name, value] : bad) changed.add(name, name == "ciphertext" ? "not base64!" : value);
  EXPECT_THAT(server.send(encode(changed)), HasSubstr("ciphertext: base64"));
}

TEST(Server, TakesARequestInPieces) {
  const Running server;
  const UniqueFd fd = server.connect();
  for (const char c : encode(good_request())) {
    ASSERT_EQ(::send(fd.get(), &c, 1, 0), 1);
    if (c == ',') std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(Running::reply(fd.get()), "2032");
}

TEST(Server, TakesExactlyTheLimitAndNoMore) {
  const Running server;
  std::string text = encode(good_request());
  text.insert(1, std::string(64 * 1024 - text.size(), ' '));
  ASSERT_EQ(text.size(), 64u * 1024);
  EXPECT_EQ(server.send(text), "2032");
  text.insert(1, 1, ' ');
  EXPECT_THAT(server.send(text), HasSubstr("more than 65536 bytes"));
}

TEST(Server, TellsASlowPeerThatTimeIsUp) {
  ServerOptions options;
  options.patience = 100ms;
  const Running server(options);
  EXPECT_THAT(server.send("{\"access_key_id\""), HasSubstr("no answer in time"));
}

TEST(Server, TellsOnePeerTooManyThatItIsBusy) {
  ServerOptions options;
  options.connections = 2;
  options.patience = 5s;
  const Running server(options);
  UniqueFd first = server.connect();
  const UniqueFd second = server.connect();
  EXPECT_THAT(server.send("{"), HasSubstr("busy"));
  first.reset();
  for (int i = 0; i < 100; ++i) {
    if (server.send(encode(good_request())) == "2032") return;
    std::this_thread::sleep_for(20ms);
  }
  FAIL() << "still busy after a connection ended";
}

TEST(Server, AHungDecryptionHoldsUpNobodyElse) {
  std::atomic<bool> release = false;
  const Running server({}, [&](const Job& job) {
    while (casemate::as_text(job.ciphertext) == "hang" && !release) std::this_thread::sleep_for(1ms);
    return fake_decrypt(job);
  });
  std::thread hung([&] { EXPECT_THAT(server.send(encode(good_request("hang"))), HasSubstr("AccessDenied")); });
  for (int i = 0; i < 10; ++i) EXPECT_EQ(server.send(encode(good_request())), "2032");
  release = true;
  hung.join();
}

TEST(Server, ServesAfterAHundredMixedRequests) {
  const Running server;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < 100; i += 4) {
        switch (i % 7) {
          case 0: EXPECT_EQ(server.send(encode(good_request())), "2032"); break;
          case 1: EXPECT_THAT(server.send(encode(good_request("other"))), HasSubstr("AccessDenied")); break;
          case 2: EXPECT_THAT(server.send("\xff\x00garbage"), HasSubstr("not a JSON object")); break;
          case 3: EXPECT_THAT(server.send("{\"access_key_id\": \"half", true), HasSubstr("ends after")); break;
          case 4: EXPECT_THAT(server.send("{" + std::string(64 * 1024, ' ')), HasSubstr("more than 65536")); break;
          case 5: server.connect(); break;
          case 6: {
            // Gone before the reply.
            const UniqueFd fd = server.connect();
            const std::string text = encode(good_request());
            ::send(fd.get(), text.data(), text.size(), 0);
            break;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.send(encode(good_request())), "2032");
}

}  // namespace
}  // namespace data_processing
