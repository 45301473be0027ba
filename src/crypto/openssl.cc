// SPDX-License-Identifier: Apache-2.0
#include "crypto/openssl.h"

#include <openssl/x509.h>

#include "base/check.h"

namespace casemate::crypto {
namespace {

using PrivateKeyInfo = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeWith<PKCS8_PRIV_KEY_INFO_free>>;

}  // namespace

Bytes spki_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  CASEMATE_CHECK(size > 0);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Secret pkcs8_of(EVP_PKEY* key) {
  const PrivateKeyInfo info(EVP_PKEY2PKCS8(key));
  CASEMATE_CHECK(info != nullptr);
  unsigned char* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der);
  CASEMATE_CHECK(size > 0);
  Secret out(Bytes(der, der + size));
  OPENSSL_clear_free(der, static_cast<std::size_t>(size));
  return out;
}

PkeyHandle read_pkcs8(const Secret& der) {
  const unsigned char* next = der.expose().data();
  const PrivateKeyInfo info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &next, static_cast<long>(der.size())));
  if (info == nullptr || next != der.expose().data() + der.size()) return nullptr;
  return PkeyHandle(EVP_PKCS82PKEY(info.get()));
}

}  // namespace casemate::crypto
