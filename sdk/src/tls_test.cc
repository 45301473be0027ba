// SPDX-License-Identifier: Apache-2.0
// TLS against a server in this process: what must be refused, and with which reason.
#include "sdk/src/tls.h"

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "base/test_matchers.h"

namespace casemate::sdk {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

template <auto Free>
struct Call {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Call<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Call<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Call<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Call<SSL_free>>;

struct Identity {
  Key key;
  Certificate certificate;
};

void extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  ASSERT_NE(extension, nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// issue makes a certificate for `names` (an extension's value), or a CA's when `names` is null.
Identity issue(const Identity* issuer, const char* names, long days = 1) {
  Identity made{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3 * 86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(names == nullptr ? "test CA" : "service"), -1, -1, 0);
  const Identity& signer = issuer == nullptr ? made : *issuer;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  X509_set_pubkey(certificate, made.key.get());
  if (names == nullptr) {
    extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    extend(certificate, signer.certificate.get(), NID_subject_alt_name, names);
  }
  EXPECT_NE(X509_sign(certificate, signer.key.get(), EVP_sha256()), 0);
  return made;
}

// OpenSSL's own sockets raise SIGPIPE, which ours must not: only the server's thread is spared it.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

class Tls : public testing::Test {
 protected:
  Tls() : authority_(issue(nullptr, nullptr)) {
    ca_file_ = testing::TempDir() + "/tls_test_ca.pem";
    FILE* file = std::fopen(ca_file_.c_str(), "w");
    PEM_write_X509(file, authority_.certificate.get());
    std::fclose(file);
    context_ = TlsContext::create(ca_file_).value();
  }
  ~Tls() override { std::filesystem::remove(ca_file_); }

  // connect makes a handshake with a server of that identity, which then echoes once.
  Result<std::string> connect(const Identity& identity, const std::string& host, std::function<void(SSL_CTX*)> configure = {}) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    std::thread server([&, fd = fds[1]] {
      block_sigpipe();
      const UniqueFd owned(fd);
      const Context context(SSL_CTX_new(TLS_server_method()));
      SSL_CTX_use_certificate(context.get(), identity.certificate.get());
      SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
      if (configure) configure(context.get());
      const Session session(SSL_new(context.get()));
      SSL_set_fd(session.get(), fd);
      if (SSL_accept(session.get()) != 1) return;
      char buffer[16];
      const int count = SSL_read(session.get(), buffer, sizeof buffer);
      if (count > 0) SSL_write(session.get(), buffer, count);
      SSL_shutdown(session.get());
    });
    auto echoed = talk(UniqueFd(fds[0]), host);
    server.join();
    return echoed;
  }

  Result<std::string> talk(UniqueFd fd, const std::string& host) {
    const Deadline deadline(10s);
    auto stream = TRY(context_->connect(std::move(fd), host, deadline));
    TRY(stream->write_all(as_bytes("hello"), deadline));
    std::uint8_t buffer[16];
    const std::size_t count = TRY(stream->read_some(buffer, deadline));
    return std::string(as_text(ByteView(buffer, count)));
  }

  Identity authority_;
  std::string ca_file_;
  std::shared_ptr<const TlsContext> context_;
};

constexpr char kHost[] = "kms.us-east-1.amazonaws.com";

TEST_F(Tls, TalksToTheNamedService) {
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.us-east-1.amazonaws.com"), kHost), IsOkAnd("hello"));
  EXPECT_THAT(connect(issue(&authority_, "DNS:*.us-east-1.amazonaws.com"), kHost), IsOkAnd("hello"));
  EXPECT_THAT(connect(issue(&authority_, "IP:127.0.0.1"), "127.0.0.1"), IsOkAnd("hello"));
}

TEST_F(Tls, TalksTls12) {
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.us-east-1.amazonaws.com"), kHost,
                      [](SSL_CTX* context) { SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION); }),
              IsOkAnd("hello"));
}

TEST_F(Tls, RefusesAnotherName) {
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.eu-west-1.amazonaws.com"), kHost), IsError(ErrorCode::kUntrusted, HasSubstr("hostname mismatch")));
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.us-east-1.amazonaws.com.evil.example"), kHost), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(connect(issue(&authority_, "DNS:localhost"), "127.0.0.1"), IsError(ErrorCode::kUntrusted, HasSubstr("IP address mismatch")));
}

TEST_F(Tls, RefusesAnUnknownAuthority) {
  const Identity other = issue(nullptr, nullptr);
  EXPECT_THAT(connect(issue(&other, "DNS:kms.us-east-1.amazonaws.com"), kHost), IsError(ErrorCode::kUntrusted, HasSubstr("certificate")));
}

TEST_F(Tls, RefusesAnExpiredCertificate) {
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.us-east-1.amazonaws.com", -1), kHost), IsError(ErrorCode::kUntrusted, HasSubstr("expired")));
}

TEST_F(Tls, RefusesTls11) {
  EXPECT_THAT(connect(issue(&authority_, "DNS:kms.us-east-1.amazonaws.com"), kHost,
                      [](SSL_CTX* context) {
                        SSL_CTX_set_security_level(context, 0);
                        SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
                        SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
                      }),
              IsError(ErrorCode::kUnsupported, HasSubstr("TLS 1.1")));
}

TEST_F(Tls, TellsAPeerThatClosesAndOneThatIsSilent) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  UniqueFd peer(fds[1]);
  EXPECT_THAT(context_->connect(UniqueFd(fds[0]), kHost, Deadline(50ms)), IsError(ErrorCode::kUnavailable, HasSubstr("in time")));
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  peer.reset();
  ::close(fds[1]);
  EXPECT_THAT(context_->connect(UniqueFd(fds[0]), kHost, Deadline(5s)), IsError(ErrorCode::kUnavailable, HasSubstr("closed during the handshake")));
}

TEST_F(Tls, ACutIsNoEnd) {
  // The server ends the connection below TLS: the client must not take that for the end of an answer.
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const Identity identity = issue(&authority_, "DNS:kms.us-east-1.amazonaws.com");
  std::thread server([&, fd = fds[1]] {
    block_sigpipe();
    const UniqueFd owned(fd);
    const Context context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_use_certificate(context.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
    const Session session(SSL_new(context.get()));
    SSL_set_fd(session.get(), fd);
    SSL_accept(session.get());
    char buffer[16];
    SSL_read(session.get(), buffer, sizeof buffer);
    SSL_set_quiet_shutdown(session.get(), 1);
  });
  EXPECT_THAT(talk(UniqueFd(fds[0]), kHost), IsError(ErrorCode::kUnavailable, HasSubstr("broke off")));
  server.join();
}

TEST(TlsContext, NamesAFileWithoutCertificates) {
  EXPECT_THAT(TlsContext::create("/nonexistent.pem"), IsError(ErrorCode::kNotFound, HasSubstr("/nonexistent.pem")));
  EXPECT_THAT(TlsContext::create("/dev/null"), IsError(ErrorCode::kMalformed, HasSubstr("no PEM certificate")));
}

TEST(TrustStore, IsTheNamedFileFirst) {
  ::setenv("SSL_CERT_FILE", "/some/file", 1);
  EXPECT_THAT(find_trust_store(), IsOkAnd("/some/file"));
  ::unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace casemate::sdk
