// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_gcm.h"

#include <limits>

#include "crypto/openssl.h"

namespace casemate::crypto {
namespace {

// EVP takes lengths as int.
constexpr std::size_t kMaxInput = static_cast<std::size_t>(std::numeric_limits<int>::max()) - 64;

CipherContext new_cipher_context() {
  CipherContext context(EVP_CIPHER_CTX_new());
  CASEMATE_CHECK(context != nullptr);
  return context;
}

const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CASEMATE_CHECK(fetched != nullptr);
  return fetched;
}

void check_sizes(ByteView key, ByteView nonce, ByteView associated_data, ByteView text) {
  CASEMATE_CHECK(key.size() == kAes256KeySize && nonce.size() == kGcmNonceSize);
  CASEMATE_CHECK(associated_data.size() <= kMaxInput && text.size() <= kMaxInput);
}

}  // namespace

Bytes seal_aes_256_gcm(ByteView key, ByteView nonce, ByteView associated_data, ByteView plaintext) {
  check_sizes(key, nonce, associated_data, plaintext);
  const ErrorQueueGuard guard;
  const CipherContext context = new_cipher_context();
  CASEMATE_CHECK(EVP_EncryptInit_ex(context.get(), aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1);
  Bytes sealed(plaintext.size() + kGcmTagSize);
  int size = 0;
  if (!associated_data.empty()) {
    CASEMATE_CHECK(EVP_EncryptUpdate(context.get(), nullptr, &size, associated_data.data(),
                                     static_cast<int>(associated_data.size())) == 1);
  }
  if (!plaintext.empty()) {
    CASEMATE_CHECK(EVP_EncryptUpdate(context.get(), sealed.data(), &size, plaintext.data(),
                                     static_cast<int>(plaintext.size())) == 1);
  }
  std::uint8_t* const tag = sealed.data() + plaintext.size();
  CASEMATE_CHECK(EVP_EncryptFinal_ex(context.get(), tag, &size) == 1 && size == 0);
  CASEMATE_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, int{kGcmTagSize}, tag) == 1);
  return sealed;
}

Result<Secret> open_aes_256_gcm(ByteView key, ByteView nonce, ByteView associated_data, ByteView sealed) {
  check_sizes(key, nonce, associated_data, sealed);
  if (sealed.size() < kGcmTagSize) return untrusted("aes-gcm: authentication failed");
  const ErrorQueueGuard guard;
  const ByteView ciphertext = sealed.first(sealed.size() - kGcmTagSize);
  Bytes tag = to_bytes(sealed.last(kGcmTagSize));
  const CipherContext context = new_cipher_context();
  CASEMATE_CHECK(EVP_DecryptInit_ex(context.get(), aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1);
  Secret plaintext = Secret::of_size(ciphertext.size());
  int size = 0;
  if (!associated_data.empty()) {
    CASEMATE_CHECK(EVP_DecryptUpdate(context.get(), nullptr, &size, associated_data.data(),
                                     static_cast<int>(associated_data.size())) == 1);
  }
  if (!ciphertext.empty()) {
    CASEMATE_CHECK(EVP_DecryptUpdate(context.get(), plaintext.expose_mutable().data(), &size, ciphertext.data(),
                                     static_cast<int>(ciphertext.size())) == 1);
  }
  CASEMATE_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, int{kGcmTagSize}, tag.data()) == 1);
  std::uint8_t none[16];
  if (EVP_DecryptFinal_ex(context.get(), none, &size) != 1) return untrusted("aes-gcm: authentication failed");
  return plaintext;
}

}  // namespace casemate::crypto
