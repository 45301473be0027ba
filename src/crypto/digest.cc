// SPDX-License-Identifier: Apache-2.0
#include "crypto/digest.h"

#include <openssl/evp.h>

#include <algorithm>

namespace casemate::crypto {
namespace {

const EVP_MD* fetch(const char* name) {
  const EVP_MD* found = EVP_MD_fetch(nullptr, name, nullptr);
  CASEMATE_CHECK(found != nullptr);
  return found;
}

// Fetched once and kept: what EVP_sha384() gives is looked up again at every use, which takes longer than hashing a
// certificate.
const EVP_MD* evp(Hash hash) {
  static const EVP_MD* const sha224 = fetch("SHA2-224");
  static const EVP_MD* const sha256 = fetch("SHA2-256");
  static const EVP_MD* const sha384 = fetch("SHA2-384");
  static const EVP_MD* const sha512 = fetch("SHA2-512");
  switch (hash) {
    case Hash::kSha224: return sha224;
    case Hash::kSha256: return sha256;
    case Hash::kSha384: return sha384;
    case Hash::kSha512: return sha512;
  }
  CASEMATE_CHECK(false);
}

template <typename Digest>
Digest whole(Hash hash, ByteView data) {
  Digest out;
  unsigned size = 0;
  CASEMATE_CHECK(EVP_Digest(data.data(), data.size(), out.data(), &size, evp(hash), nullptr) == 1 && size == out.size());
  return out;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Context new_context() {
  Context context(EVP_MD_CTX_new());
  CASEMATE_CHECK(context != nullptr);
  return context;
}

}  // namespace

std::size_t digest_size(Hash hash) {
  return static_cast<std::size_t>(EVP_MD_get_size(evp(hash)));
}

Sha256 sha256(ByteView data) { return whole<Sha256>(Hash::kSha256, data); }

Sha384 sha384(ByteView data) { return whole<Sha384>(Hash::kSha384, data); }

Bytes digest(Hash hash, ByteView data) {
  return Hasher(hash).update(data).finish();
}

// Two digests (RFC 2104, 2) with a fetched algorithm: OpenSSL's HMAC() looks up MAC and digest by name at every call, which
// takes longer than the digests of a short message.
Bytes hmac(Hash hash, ByteView key, ByteView data) {
  const EVP_MD* const algorithm = evp(hash);
  const auto block_size = static_cast<std::size_t>(EVP_MD_get_block_size(algorithm));
  std::array<std::uint8_t, 128> block{};
  CASEMATE_CHECK(block_size <= block.size());
  const Context context = new_context();
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (key.size() > block_size) {
    CASEMATE_CHECK(EVP_Digest(key.data(), key.size(), block.data(), &size, algorithm, nullptr) == 1);
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  for (auto& byte : block) byte ^= 0x36;
  CASEMATE_CHECK(EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
                 EVP_DigestUpdate(context.get(), block.data(), block_size) == 1 &&
                 EVP_DigestUpdate(context.get(), data.data(), data.size()) == 1 &&
                 EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1);
  for (auto& byte : block) byte ^= 0x36 ^ 0x5c;
  Bytes out(size);
  CASEMATE_CHECK(EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
                 EVP_DigestUpdate(context.get(), block.data(), block_size) == 1 &&
                 EVP_DigestUpdate(context.get(), digest.data(), size) == 1 &&
                 EVP_DigestFinal_ex(context.get(), out.data(), &size) == 1);
  zeroize(block.data(), block.size());
  zeroize(digest.data(), digest.size());
  return out;
}

struct Hasher::State {
  Context context = new_context();
};

Hasher::Hasher(Hash hash) : state_(std::make_unique<State>()) {
  CASEMATE_CHECK(EVP_DigestInit_ex(state_->context.get(), evp(hash), nullptr) == 1);
}

Hasher::Hasher(const Hasher& other) : state_(std::make_unique<State>()) {
  CASEMATE_CHECK(EVP_MD_CTX_copy_ex(state_->context.get(), other.state_->context.get()) == 1);
}

Hasher& Hasher::operator=(const Hasher& other) {
  if (this != &other) *this = Hasher(other);
  return *this;
}

Hasher::~Hasher() = default;

Hasher& Hasher::update(ByteView data) {
  CASEMATE_CHECK(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1);
  return *this;
}

Bytes Hasher::finish() {
  Bytes out(static_cast<std::size_t>(EVP_MD_CTX_get_size(state_->context.get())));
  unsigned size = 0;
  CASEMATE_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), &size) == 1 && size == out.size());
  return out;
}

}  // namespace casemate::crypto
