// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_wrap.h"

#include "crypto/openssl.h"

namespace casemate::crypto {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kWrapBlock = 8;
constexpr std::size_t kMostContent = 8192;

CipherContext wrap_context(ByteView key, int encrypt) {
  CASEMATE_CHECK(key.size() == kKeySize);
  CipherContext context(EVP_CIPHER_CTX_new());
  CASEMATE_CHECK(context != nullptr);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  CASEMATE_CHECK(EVP_CipherInit_ex(context.get(), EVP_aes_256_wrap_pad(), nullptr, key.data(), nullptr, encrypt) == 1);
  return context;
}

}  // namespace

Bytes wrap_key_padded(ByteView key, const Secret& content) {
  CASEMATE_CHECK(!content.empty() && content.size() <= kMostContent);
  const ErrorQueueGuard guard;
  const CipherContext context = wrap_context(key, 1);
  Bytes out(content.size() + 2 * kWrapBlock);
  int size = 0;
  CASEMATE_CHECK(EVP_CipherUpdate(context.get(), out.data(), &size, content.expose().data(),
                                  static_cast<int>(content.size())) == 1);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Result<Secret> unwrap_key_padded(ByteView key, ByteView wrapped) {
  if (wrapped.size() < 2 * kWrapBlock || wrapped.size() % kWrapBlock != 0 || wrapped.size() > kMostContent + 2 * kWrapBlock)
    return untrusted("key wrap: does not open");
  const ErrorQueueGuard guard;
  const CipherContext context = wrap_context(key, 0);
  Secret out = Secret::of_size(wrapped.size());
  int size = 0;
  if (EVP_CipherUpdate(context.get(), out.expose_mutable().data(), &size, wrapped.data(),
                       static_cast<int>(wrapped.size())) != 1 ||
      size <= 0 || static_cast<std::size_t>(size) > wrapped.size()) {
    return untrusted("key wrap: does not open");
  }
  out.truncate(static_cast<std::size_t>(size));
  return out;
}

}  // namespace casemate::crypto
