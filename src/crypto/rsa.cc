// SPDX-License-Identifier: Apache-2.0
#include "crypto/rsa.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <optional>

#include "crypto/openssl.h"

namespace casemate::crypto {
namespace {

PkeyContext oaep_context(EVP_PKEY* key, int (*init)(EVP_PKEY_CTX*)) {
  PkeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  CASEMATE_CHECK(context != nullptr && init(context.get()) == 1);
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1);
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) == 1);
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) == 1);
  return context;
}

unsigned key_bits(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  return bits < 0 ? 0 : static_cast<unsigned>(bits);
}

// OpenSSL accepts any exponent; an even one or 1 encrypts to nothing secret, and a long one costs time.
bool has_sound_exponent(EVP_PKEY* key) {
  BIGNUM* exponent = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1) return false;
  const bool sound = BN_is_odd(exponent) == 1 && BN_num_bits(exponent) >= 2 && BN_num_bits(exponent) <= 64;
  BN_free(exponent);
  return sound;
}

// What an encoder writes of an RSA key: AlgorithmIdentifier of rsaEncryption with NULL (RFC 3279, 2.3.1).
constexpr std::uint8_t kRsaAlgorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

std::optional<ByteView> read_element(ByteReader& in, std::uint8_t tag) {
  const auto head = in.read(2);
  if (!head.ok() || (*head)[0] != tag) return std::nullopt;
  std::size_t length = (*head)[1];
  if (length > 0x82 || length == 0x80) return std::nullopt;
  if (length > 0x80) {
    const auto more = in.read(length - 0x80);
    if (!more.ok()) return std::nullopt;
    const bool two = more->size() == 2;
    length = two ? std::size_t{(*more)[0]} << 8 | (*more)[1] : (*more)[0];
    if (length < (two ? 0x100U : 0x80U)) return std::nullopt;
  }
  const auto content = in.read(length);
  return content.ok() ? std::optional(*content) : std::nullopt;
}

// read_positive takes a positive INTEGER in DER, without the zero that keeps it positive, least significant byte first.
std::optional<Bytes> read_positive(ByteReader& in) {
  auto content = read_element(in, 0x02);
  if (!content || content->empty() || (*content)[0] >= 0x80) return std::nullopt;
  if ((*content)[0] == 0) {
    content = content->subspan(1);
    if (content->empty() || (*content)[0] < 0x80) return std::nullopt;
  }
  return Bytes(content->rbegin(), content->rend());
}

// read_plain reads the DER of a key as every encoder writes it, null for any other; OpenSSL's decoder, which takes all
// forms, costs as much as verifying a signature.
PkeyHandle read_plain(ByteView der) {
  ByteReader in(der);
  const auto info = read_element(in, 0x30);
  if (!info || !in.empty() || info->size() < sizeof kRsaAlgorithm || !equal(info->first(sizeof kRsaAlgorithm), kRsaAlgorithm)) return nullptr;
  ByteReader after(info->subspan(sizeof kRsaAlgorithm));
  const auto bits = read_element(after, 0x03);
  if (!bits || !after.empty() || bits->empty() || (*bits)[0] != 0) return nullptr;
  ByteReader string(bits->subspan(1));
  const auto key = read_element(string, 0x30);
  if (!key || !string.empty()) return nullptr;
  ByteReader numbers(*key);
  auto modulus = read_positive(numbers);
  auto exponent = read_positive(numbers);
  if (!modulus || !exponent || !numbers.empty()) return nullptr;

  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus->data(), modulus->size()),
                             OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent->data(), exponent->size()),
                             OSSL_PARAM_construct_end()};
  EVP_PKEY* out = nullptr;
  if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &out, EVP_PKEY_PUBLIC_KEY, parameters) != 1) return nullptr;
  return PkeyHandle(out);
}

}  // namespace

void FreePkey::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

Result<RsaPublicKey> RsaPublicKey::parse_spki(ByteView der, const RsaLimits& limits) {
  // No SubjectPublicKeyInfo of a key within the limits is longer; refuse before OpenSSL builds numbers from it.
  if (der.size() > std::size_t{limits.most_bits} / 8 + 512) {
    return over_limit("rsa public key: {} bytes, want a key of at most {} bits", der.size(), limits.most_bits);
  }
  const ErrorQueueGuard guard;
  std::shared_ptr<EVP_PKEY> key(read_plain(der));
  std::shared_ptr<const Bytes> spki;
  if (key != nullptr) {
    spki = std::make_shared<const Bytes>(to_bytes(der));
  } else {
    const unsigned char* next = der.data();
    key.reset(d2i_PUBKEY(nullptr, &next, static_cast<long>(der.size())), FreePkey{});
    if (key == nullptr) return malformed("rsa public key: no SubjectPublicKeyInfo");
    if (next != der.data() + der.size()) return malformed("rsa public key: bytes after the SubjectPublicKeyInfo");
  }
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return malformed("public key: not an RSA key");
  const unsigned bits = key_bits(key.get());
  if (bits < limits.least_bits || bits > limits.most_bits) {
    return over_limit("rsa public key: {} bits, want {} to {}", bits, limits.least_bits, limits.most_bits);
  }
  if (!has_sound_exponent(key.get())) return malformed("rsa public key: exponent: want an odd number of 2 to 64 bits");
  return RsaPublicKey(std::move(key), std::move(spki));
}

unsigned RsaPublicKey::bits() const {
  return key_bits(key_.get());
}

Bytes RsaPublicKey::spki() const {
  if (spki_ != nullptr) return *spki_;
  const ErrorQueueGuard guard;
  return spki_of(key_.get());
}

Result<Bytes> RsaPublicKey::encrypt_oaep_sha256(ByteView plaintext) const {
  const std::size_t most = bits() / 8 - 66;
  if (plaintext.size() > most) return over_limit("rsa-oaep: {} bytes, at most {}", plaintext.size(), most);
  const ErrorQueueGuard guard;
  const PkeyContext context = oaep_context(key_.get(), EVP_PKEY_encrypt_init);
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = out.size();
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plaintext.data(), plaintext.size()) != 1) {
    return internal("rsa-oaep: encryption failed");
  }
  out.resize(size);
  return out;
}

RsaPrivateKey::RsaPrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)), spki_(std::make_shared<const Bytes>(spki_of(key_.get()))) {}

Result<RsaPrivateKey> RsaPrivateKey::generate(unsigned bits) {
  const ErrorQueueGuard guard;
  std::shared_ptr<EVP_PKEY> key(EVP_RSA_gen(bits), FreePkey{});
  if (key == nullptr) return internal("rsa: key generation failed");
  return RsaPrivateKey(std::move(key));
}

Result<RsaPrivateKey> RsaPrivateKey::parse_pkcs8(const Secret& der) {
  const ErrorQueueGuard guard;
  std::shared_ptr<EVP_PKEY> key(read_pkcs8(der));
  if (key == nullptr) return malformed("rsa private key: no PKCS#8");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return malformed("rsa private key: not RSA");
  return RsaPrivateKey(std::move(key));
}

// The public operations use only the public half of the shared key.
RsaPublicKey RsaPrivateKey::public_key() const {
  return RsaPublicKey(key_, spki_);
}

Secret RsaPrivateKey::pkcs8() const {
  const ErrorQueueGuard guard;
  return pkcs8_of(key_.get());
}

unsigned RsaPrivateKey::bits() const {
  return key_bits(key_.get());
}

Result<Secret> RsaPrivateKey::decrypt_oaep_sha256(ByteView ciphertext) const {
  const ErrorQueueGuard guard;
  const PkeyContext context = oaep_context(key_.get(), EVP_PKEY_decrypt_init);
  Secret out = Secret::of_size(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = out.size();
  if (EVP_PKEY_decrypt(context.get(), out.expose_mutable().data(), &size, ciphertext.data(), ciphertext.size()) != 1 ||
      size > out.size()) {
    return untrusted("rsa-oaep: decryption failed");
  }
  out.truncate(size);
  return out;
}

}  // namespace casemate::crypto
