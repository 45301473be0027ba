// SPDX-License-Identifier: Apache-2.0
// Server side TLS set-up (RFC 8446, 5246): TLS 1.2 and 1.3, ALPN http/1.1. Included only by the sources of this folder.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "net/http_server.h"

namespace casemate::net {

struct SslDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;
using Ssl = std::unique_ptr<SSL, SslDeleter>;

// make_tls_context checks that certificate and key belong together. Errors: kMalformed.
Result<SslContext> make_tls_context(const TlsIdentity& identity);

// take_tls_error is the oldest queued OpenSSL error as text; the queue is empty afterwards.
std::string take_tls_error();

}  // namespace casemate::net
