// SPDX-License-Identifier: Apache-2.0
// A server on a thread of its own and a client that says what it is told to, for the tests of this folder.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <future>
#include <thread>

#include "base/test_matchers.h"
#include "net/http_server.h"

namespace casemate::net {

inline TlsIdentity make_identity() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, as_bytes("localhost").data(), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key);
  X509_EXTENSION* const names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate);
  char* text = nullptr;
  long size = BIO_get_mem_data(out, &text);
  TlsIdentity identity;
  identity.certificate_pem.assign(text, static_cast<std::size_t>(size));
  (void)BIO_reset(out);
  PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  size = BIO_get_mem_data(out, &text);
  identity.private_key_pem = Secret::copy_of(as_bytes({text, static_cast<std::size_t>(size)}));
  BIO_free(out);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

inline http::Response echo(const http::Request& request) {
  http::Response response;
  response.headers.add("X-Peer", request.peer + (request.secure ? " tls" : " plain"));
  response.body = request.method + " " + request.target + " " + request.body;
  if (request.target == "/split") response.headers.add("X-Bad", "a\r\nX-Injected: b");
  return response;
}

// A server whose loop runs on a thread of its own.
class Running {
 public:
  explicit Running(ServerOptions options = {}) {
    loop_ = Loop::create().take();
    server_ = Server::create(*loop_, options, Log()).take();
  }
  ~Running() {
    if (thread_.joinable()) {
      loop_->stop();
      thread_.join();
    }
    server_.reset();
  }
  template <typename H>
  std::uint16_t listen(H handler, bool tls = false) {
    ListenerOptions options;
    if (tls) options.tls = make_identity();
    auto bound = server_->listen(std::move(options), std::move(handler));
    EXPECT_THAT(bound, IsOk());
    return bound->port;
  }
  void start() {
    thread_ = std::thread([this] { loop_->run(); });
  }
  template <typename F>
  auto on_loop(F call) {
    std::promise<decltype(call())> result;
    loop_->post([&] { result.set_value(call()); });
    return result.get_future().get();
  }
  ServerStats stats() {
    return on_loop([this] { return server_->stats(); });
  }
  Loop& loop() { return *loop_; }
  Server& server() { return *server_; }

 private:
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  bool send(std::string_view text) {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  // Everything until the end of the stream or 5 seconds of silence.
  std::string read_all() {
    return read_until([](const std::string&) { return false; });
  }
  std::string read_answers(std::size_t count) {
    return read_until([count](const std::string& text) {
      std::size_t found = 0;
      for (auto at = text.find("\r\n\r\n"); at != std::string::npos; at = text.find("\r\n\r\n", at + 4)) ++found;
      return found >= count;
    });
  }
  bool ended() const { return ended_; }
  int fd() const { return fd_.get(); }

 private:
  template <typename F>
  std::string read_until(F enough) {
    std::string out;
    while (!enough(out)) {
      pollfd wait{fd_.get(), POLLIN, 0};
      if (::poll(&wait, 1, 5000) <= 0) break;
      char buffer[4096];
      const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) {
        ended_ = true;
        break;
      }
      out.append(buffer, static_cast<std::size_t>(got));
    }
    return out;
  }
  UniqueFd fd_;
  bool ended_ = false;
};

inline std::string shell(const std::string& command) {
  std::string out;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  ::pclose(pipe);
  return out;
}

}  // namespace casemate::net
