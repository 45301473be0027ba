// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's handles, the clearing of its error queue, and the DER forms of keys. Included by sources of this folder only.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

namespace casemate::crypto {

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};

using PkeyHandle = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

// ErrorQueueGuard leaves OpenSSL's queue empty: no error of one call may be taken for that of a later one.
struct ErrorQueueGuard {
  ErrorQueueGuard() { ERR_clear_error(); }
  ErrorQueueGuard(const ErrorQueueGuard&) = delete;
  ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;
  ~ErrorQueueGuard() { ERR_clear_error(); }
};

// spki_of and pkcs8_of give a key's SubjectPublicKeyInfo and PrivateKeyInfo in DER; read_pkcs8 is null unless `der` is
// one PrivateKeyInfo and nothing after it. All want an ErrorQueueGuard around them.
Bytes spki_of(EVP_PKEY* key);
Secret pkcs8_of(EVP_PKEY* key);
PkeyHandle read_pkcs8(const Secret& der);

}  // namespace casemate::crypto
