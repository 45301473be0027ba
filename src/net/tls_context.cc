// SPDX-License-Identifier: Apache-2.0
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string_view>

namespace casemate::net {
namespace {

struct HandleDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Handle = std::unique_ptr<T, HandleDeleter>;

// An encrypted key is refused instead of asking on the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int size, void*) {
  constexpr std::string_view kHttp11 = "http/1.1";
  for (unsigned int at = 0; at < size;) {
    const unsigned int length = offered[at];
    if (length > size - at - 1) break;
    const unsigned char* const name = offered + at + 1;
    if (std::string_view(reinterpret_cast<const char*>(name), length) == kHttp11) {
      *out = name;
      *out_size = static_cast<unsigned char>(length);
      return SSL_TLSEXT_ERR_OK;
    }
    at += length + 1;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301, 3.2
}

Handle<BIO> memory_bio(ByteView text) {
  return Handle<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<void> use_identity(SSL_CTX* context, const TlsIdentity& identity) {
  const auto certificates = memory_bio(as_bytes(identity.certificate_pem));
  const Handle<X509> leaf(PEM_read_bio_X509(certificates.get(), nullptr, no_passphrase, nullptr));
  if (!leaf) return malformed("certificate: no PEM certificate found");
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) return malformed("certificate: {}", take_tls_error());
  while (true) {
    Handle<X509> issuer(PEM_read_bio_X509(certificates.get(), nullptr, no_passphrase, nullptr));
    if (!issuer) break;
    if (SSL_CTX_add0_chain_cert(context, issuer.get()) != 1)
      return malformed("certificate chain: {}", take_tls_error());
    [[maybe_unused]] X509* const owned_by_context = issuer.release();
  }
  ERR_clear_error();
  const auto key_text = memory_bio(identity.private_key_pem.expose());
  const Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr));
  if (!key) return malformed("private key: no unencrypted PEM private key found");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return malformed("private key: does not belong to the certificate");
  return {};
}

}  // namespace

std::string take_tls_error() {
  const unsigned long code = ERR_get_error();
  const char* const reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "unknown error";
  ERR_clear_error();
  return text;
}

Result<SslContext> make_tls_context(const TlsIdentity& identity) {
  ERR_clear_error();
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return internal("TLS context: {}", take_tls_error());
  SSL_CTX* const raw = context.get();
  if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
      SSL_CTX_set1_groups_list(raw, "X25519:P-256:P-384") != 1)
    return internal("TLS context: {}", take_tls_error());
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 1);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_alpn_select_cb(raw, select_protocol, nullptr);
  TRY(use_identity(raw, identity));
  return context;
}

}  // namespace casemate::net
