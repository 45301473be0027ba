// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>

namespace casemate::sdk {
namespace {

constexpr const char* kBundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Amazon Linux, Fedora
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // newer Fedora
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",
};

std::string last_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

// OpenSSL's own socket BIO uses write(2), which raises SIGPIPE; a library must not change the program's signals.
int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t count = ::send(fd, data, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
  const ssize_t count = ::recv(fd, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "casemate socket");
    CASEMATE_CHECK(made != nullptr);
    CASEMATE_CHECK(BIO_meth_set_write(made, bio_write) == 1 && BIO_meth_set_read(made, bio_read) == 1 &&
                   BIO_meth_set_ctrl(made, bio_control) == 1 && BIO_meth_set_create(made, bio_create) == 1);
    return made;
  }();
  return method;
}

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Ssl = std::unique_ptr<SSL, FreeSsl>;

bool ip_address(const std::string& host) {
  unsigned char out[16];
  return ::inet_pton(AF_INET, host.c_str(), out) == 1 || ::inet_pton(AF_INET6, host.c_str(), out) == 1;
}

class TlsStream final : public Stream {
 public:
  TlsStream(UniqueFd fd, Ssl ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)) {}
  ~TlsStream() override {
    // close_notify, as far as it fits: the peer then knows an end from a cut.
    if (!broken_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  Result<void> handshake(const std::string& host, const Deadline& deadline) {
    const std::string what = fmt::format("TLS with {}", host);
    for (;;) {
      ERR_clear_error();
      const int result = SSL_connect(ssl_.get());
      if (result == 1) return {};
      const int reason = SSL_get_error(ssl_.get(), result);
      if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        TRY(wait(reason, deadline).in(what));
        continue;
      }
      broken_ = true;
      if (const long verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK) {
        ERR_clear_error();
        return untrusted("{}: certificate: {}", what, X509_verify_cert_error_string(verdict));
      }
      const unsigned long code = ERR_peek_error();
      if (reason == SSL_ERROR_SYSCALL || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return unavailable("{}: the connection closed during the handshake", what);
      }
      if (ERR_GET_REASON(code) == SSL_R_UNSUPPORTED_PROTOCOL || ERR_GET_REASON(code) == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION) {
        ERR_clear_error();
        return unsupported("{}: the service offers nothing newer than TLS 1.1, want 1.2 or 1.3", what);
      }
      return untrusted("{}: handshake: {}", what, last_openssl_error());
    }
  }

  Result<std::size_t> read_some(std::span<std::uint8_t> out, const Deadline& deadline) override {
    for (;;) {
      ERR_clear_error();
      std::size_t count = 0;
      if (SSL_read_ex(ssl_.get(), out.data(), out.size(), &count) == 1) return count;
      const int reason = SSL_get_error(ssl_.get(), 0);
      if (reason == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
      TRY(wait(reason, deadline));
    }
  }

  Result<void> write_all(ByteView data, const Deadline& deadline) override {
    while (!data.empty()) {
      ERR_clear_error();
      std::size_t count = 0;
      if (SSL_write_ex(ssl_.get(), data.data(), data.size(), &count) == 1) {
        data = data.subspan(count);
        continue;
      }
      TRY(wait(SSL_get_error(ssl_.get(), 0), deadline));
    }
    return {};
  }

  bool idle() const override {
    // Session tickets of TLS 1.3 may wait unread; data of the application never may.
    if (broken_ || SSL_pending(ssl_.get()) != 0 || SSL_get_shutdown(ssl_.get()) != 0) return false;
    std::uint8_t byte = 0;
    const ssize_t count = ::recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    ERR_clear_error();
    std::size_t read = 0;
    const bool data = SSL_peek_ex(ssl_.get(), &byte, 1, &read) == 1;
    const bool quiet = !data && SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return quiet;
  }

 private:
  Result<void> wait(int reason, const Deadline& deadline) {
    switch (reason) {
      case SSL_ERROR_WANT_READ: return wait_for(fd_.get(), POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE: return wait_for(fd_.get(), POLLOUT, deadline);
      default: break;
    }
    broken_ = true;
    // A cut without close_notify is an error here, never an end: an answer cannot be shortened by an attacker.
    if (reason == SSL_ERROR_SYSCALL || ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
      ERR_clear_error();
      return unavailable("the connection broke off");
    }
    return untrusted("TLS: {}", last_openssl_error());
  }

  UniqueFd fd_;
  Ssl ssl_;
  bool broken_ = false;
};

}  // namespace

Result<std::string> find_trust_store() {
  if (const char* named = std::getenv("SSL_CERT_FILE"); named != nullptr && *named != '\0') return std::string(named);
  for (const char* path : kBundles) {
    if (::access(path, R_OK) == 0) return std::string(path);
  }
  return not_found("no trusted certificates: SSL_CERT_FILE is not set and there is no {}", kBundles[0]);
}

void TlsContext::Free::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::create(const std::string& ca_file) {
  if (::access(ca_file.c_str(), R_OK) != 0) return errno_error(ca_file);
  std::shared_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_client_method())));
  SSL_CTX* context = made->context_.get();
  if (context == nullptr) return internal("SSL_CTX_new: {}", last_openssl_error());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) return internal("TLS 1.2: {}", last_openssl_error());
  if (SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) != 1) {
    ERR_clear_error();
    return malformed("{}: no PEM certificate in it", ca_file);
  }
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Result<std::unique_ptr<Stream>> TlsContext::connect(UniqueFd fd, const std::string& host, const Deadline& deadline) const {
  Ssl ssl(SSL_new(context_.get()));
  if (!ssl) return internal("SSL_new: {}", last_openssl_error());
  BIO* bio = BIO_new(bio_method());
  if (bio == nullptr) return internal("BIO_new: {}", last_openssl_error());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd.get())));
  SSL_set_bio(ssl.get(), bio, bio);

  if (ip_address(host)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1) return malformed("TLS: address {}", host);
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl.get(), host.c_str()) != 1) return malformed("TLS: host name {}", host);
    // SSL_set_tlsext_host_name without its macro's casts; the name is copied.
    if (SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str())) != 1) {
      return malformed("TLS: host name {}", host);
    }
  }
  auto stream = std::make_unique<TlsStream>(std::move(fd), std::move(ssl));
  TRY(stream->handshake(host, deadline));
  return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace casemate::sdk
