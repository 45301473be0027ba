// SPDX-License-Identifier: Apache-2.0
// TLS client sessions on a connected descriptor, by OpenSSL: TLS 1.2 or newer, the peer's chain and name verified.
#pragma once

#include <memory>
#include <string>

#include "sdk/src/stream.h"

struct ssl_ctx_st;

namespace casemate::sdk {

// find_trust_store is SSL_CERT_FILE where set, else the first of the bundles that Linux distributions install. Errors:
// kNotFound, naming the places.
Result<std::string> find_trust_store();

// TlsContext holds the trusted certificates, parsed once; it is shared by threads and never changed.
class TlsContext {
 public:
  // Errors: kNotFound (no such file), kMalformed (no certificate in it).
  static Result<std::shared_ptr<const TlsContext>> create(const std::string& ca_file);

  // connect makes the handshake with `host` (a name or an IP address). Errors: kUntrusted with the verifier's reason,
  // kUnavailable, kUnsupported (no common version).
  Result<std::unique_ptr<Stream>> connect(UniqueFd fd, const std::string& host, const Deadline& deadline) const;

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

  std::unique_ptr<ssl_ctx_st, Free> context_;
};

}  // namespace casemate::sdk
