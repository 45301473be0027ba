// SPDX-License-Identifier: Apache-2.0
#include "crypto/pkey.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>

#include "crypto/openssl.h"

namespace casemate::crypto {
namespace {

constexpr std::size_t kMostSpki = 2048;
constexpr std::string_view kSm2Identifier = "1234567812345678";  // GB/T 35276, 10

enum class Family : std::uint8_t { kRsa, kEc, kEd25519, kSm2 };

struct KindTraits {
  KeyKind kind;
  Family family;
  unsigned bits;
  const char* group;  // OpenSSL's name of the curve
  std::size_t field_bytes;
};

// In the order of KeyKind.
constexpr KindTraits kKinds[] = {
    {KeyKind::kRsa2048, Family::kRsa, 2048, nullptr, 0},
    {KeyKind::kRsa3072, Family::kRsa, 3072, nullptr, 0},
    {KeyKind::kRsa4096, Family::kRsa, 4096, nullptr, 0},
    {KeyKind::kP256, Family::kEc, 256, "prime256v1", 32},
    {KeyKind::kP384, Family::kEc, 384, "secp384r1", 48},
    {KeyKind::kP521, Family::kEc, 521, "secp521r1", 66},
    {KeyKind::kSecp256k1, Family::kEc, 256, "secp256k1", 32},
    {KeyKind::kEd25519, Family::kEd25519, 256, nullptr, 0},
    {KeyKind::kSm2, Family::kSm2, 256, "SM2", 32},
};

const KindTraits& traits_of(KeyKind kind) {
  const KindTraits& traits = kKinds[static_cast<std::size_t>(kind)];
  CASEMATE_CHECK(traits.kind == kind);
  return traits;
}

struct SchemeTraits {
  SignatureScheme scheme;
  Family family;
  int padding;
  Hash hash;
};

// In the order of SignatureScheme; the last two do their own hashing.
constexpr SchemeTraits kSchemes[] = {
    {SignatureScheme::kPkcs1Sha256, Family::kRsa, RSA_PKCS1_PADDING, Hash::kSha256},
    {SignatureScheme::kPkcs1Sha384, Family::kRsa, RSA_PKCS1_PADDING, Hash::kSha384},
    {SignatureScheme::kPkcs1Sha512, Family::kRsa, RSA_PKCS1_PADDING, Hash::kSha512},
    {SignatureScheme::kPssSha256, Family::kRsa, RSA_PKCS1_PSS_PADDING, Hash::kSha256},
    {SignatureScheme::kPssSha384, Family::kRsa, RSA_PKCS1_PSS_PADDING, Hash::kSha384},
    {SignatureScheme::kPssSha512, Family::kRsa, RSA_PKCS1_PSS_PADDING, Hash::kSha512},
    {SignatureScheme::kEcdsaSha256, Family::kEc, 0, Hash::kSha256},
    {SignatureScheme::kEcdsaSha384, Family::kEc, 0, Hash::kSha384},
    {SignatureScheme::kEcdsaSha512, Family::kEc, 0, Hash::kSha512},
    {SignatureScheme::kEd25519, Family::kEd25519, 0, Hash::kSha512},
    {SignatureScheme::kSm2, Family::kSm2, 0, Hash::kSha256},
};

const SchemeTraits& traits_of(SignatureScheme scheme) {
  const SchemeTraits& traits = kSchemes[static_cast<std::size_t>(scheme)];
  CASEMATE_CHECK(traits.scheme == scheme);
  return traits;
}

const EVP_MD* message_digest(Hash hash) {
  switch (hash) {
    case Hash::kSha224:
      return EVP_sha224();
    case Hash::kSha256:
      return EVP_sha256();
    case Hash::kSha384:
      return EVP_sha384();
    case Hash::kSha512:
      return EVP_sha512();
  }
  CASEMATE_CHECK(false);
}

bool is_of_kind(EVP_PKEY* key, KeyKind kind) {
  const KindTraits& traits = traits_of(kind);
  switch (traits.family) {
    case Family::kRsa:
      return EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) == static_cast<int>(traits.bits);
    case Family::kEd25519:
      return EVP_PKEY_is_a(key, "ED25519") == 1;
    case Family::kEc:
    case Family::kSm2:
      break;
  }
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1) return false;
  return std::string_view(group.data(), size) == traits.group;
}

using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, FreeWith<BN_clear_free>>;
using Group = std::unique_ptr<EC_GROUP, FreeWith<EC_GROUP_free>>;
using GroupPoint = std::unique_ptr<EC_POINT, FreeWith<EC_POINT_free>>;

PkeyContext digest_context(EVP_PKEY* key, const SchemeTraits& scheme, int (*init)(EVP_PKEY_CTX*)) {
  PkeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  CASEMATE_CHECK(context != nullptr && init(context.get()) == 1);
  if (scheme.family == Family::kSm2) return context;
  if (scheme.family == Family::kRsa) {
    CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), scheme.padding) == 1);
  }
  CASEMATE_CHECK(EVP_PKEY_CTX_set_signature_md(context.get(), message_digest(scheme.hash)) == 1);
  if (scheme.padding == RSA_PKCS1_PSS_PADDING) {
    CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), message_digest(scheme.hash)) == 1);
    CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  return context;
}

// whole_message_context is for the schemes that hash the message together with the key.
DigestContext whole_message_context(EVP_PKEY* key, const SchemeTraits& scheme,
                                    int (*init)(EVP_MD_CTX*, EVP_PKEY_CTX**, const EVP_MD*, ENGINE*, EVP_PKEY*)) {
  DigestContext context(EVP_MD_CTX_new());
  CASEMATE_CHECK(context != nullptr);
  if (scheme.family == Family::kEd25519) {
    CASEMATE_CHECK(init(context.get(), nullptr, nullptr, nullptr, key) == 1);
    return context;
  }
  PkeyContext key_context(EVP_PKEY_CTX_new(key, nullptr));
  CASEMATE_CHECK(key_context != nullptr);
  CASEMATE_CHECK(EVP_PKEY_CTX_set1_id(key_context.get(), kSm2Identifier.data(), kSm2Identifier.size()) == 1);
  EVP_MD_CTX_set_pkey_ctx(context.get(), key_context.get());
  const int ready = init(context.get(), nullptr, EVP_sm3(), nullptr, key);
  // The digest context does not own a context that was set into it, and must not outlive it.
  CASEMATE_CHECK(ready == 1);
  (void)key_context.release();
  return context;
}

void free_set_context(DigestContext& context, const SchemeTraits& scheme) {
  if (scheme.family != Family::kSm2) return;
  EVP_PKEY_CTX* key_context = EVP_MD_CTX_get_pkey_ctx(context.get());
  context.reset();
  EVP_PKEY_CTX_free(key_context);
}

bool hashes_itself(const SchemeTraits& scheme) {
  return scheme.family == Family::kEd25519 || scheme.family == Family::kSm2;
}

PkeyContext encryption_context(EVP_PKEY* key, EncryptionScheme scheme, int (*init)(EVP_PKEY_CTX*)) {
  PkeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  CASEMATE_CHECK(context != nullptr && init(context.get()) == 1);
  if (scheme == EncryptionScheme::kSm2) return context;
  if (scheme == EncryptionScheme::kPkcs1) {
    CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1);
    return context;
  }
  const EVP_MD* hash = scheme == EncryptionScheme::kOaepSha1 ? EVP_sha1() : EVP_sha256();
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1);
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) == 1);
  CASEMATE_CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) == 1);
  return context;
}

bool fits(KeyKind kind, EncryptionScheme scheme) {
  const Family family = traits_of(kind).family;
  return scheme == EncryptionScheme::kSm2 ? family == Family::kSm2 : family == Family::kRsa;
}

Error other_kind() {
  return unsupported("key: the algorithm is for another kind of key");
}

// OpenSSL has no exchange for keys on the SM2 curve, so the point is multiplied here; EC_POINT_mul with one scalar is
// its constant-time ladder.
Result<Secret> multiply(EVP_PKEY* own, EVP_PKEY* peer, std::size_t field_bytes) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(own, OSSL_PKEY_PARAM_PRIV_KEY, &raw) != 1) return internal("ecdh: private number");
  const Number scalar(raw);
  std::array<std::uint8_t, 160> encoded{};
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(peer, OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), encoded.size(), &size) != 1) {
    return internal("ecdh: public point");
  }
  const Group group(EC_GROUP_new_by_curve_name(NID_sm2));
  const GroupPoint point(EC_POINT_new(group.get()));
  const GroupPoint product(EC_POINT_new(group.get()));
  const Number x(BN_new());
  CASEMATE_CHECK(point != nullptr && product != nullptr && x != nullptr);
  if (EC_POINT_oct2point(group.get(), point.get(), encoded.data(), size, nullptr) != 1 ||
      EC_POINT_mul(group.get(), product.get(), nullptr, point.get(), scalar.get(), nullptr) != 1 ||
      EC_POINT_get_affine_coordinates(group.get(), product.get(), x.get(), nullptr, nullptr) != 1) {
    return malformed("ecdh: the peer's point");
  }
  Secret out = Secret::of_size(field_bytes);
  CASEMATE_CHECK(BN_bn2binpad(x.get(), out.expose_mutable().data(), static_cast<int>(field_bytes)) ==
                 static_cast<int>(field_bytes));
  return out;
}

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

}  // namespace

std::size_t digest_length(SignatureScheme scheme) {
  if (scheme == SignatureScheme::kEd25519) return 0;
  if (scheme == SignatureScheme::kSm2) return 32;
  return digest_size(traits_of(scheme).hash);
}

std::size_t most_plaintext(KeyKind kind, EncryptionScheme scheme) {
  const std::size_t modulus = traits_of(kind).bits / 8;
  switch (scheme) {
    case EncryptionScheme::kOaepSha1:
      return modulus - 42;
    case EncryptionScheme::kOaepSha256:
      return modulus - 66;
    case EncryptionScheme::kPkcs1:
      return modulus - 11;
    case EncryptionScheme::kSm2:
      return 1024;
  }
  CASEMATE_CHECK(false);
}

Result<PublicKey> PublicKey::parse_spki(KeyKind kind, ByteView der) {
  if (der.size() > kMostSpki) return over_limit("public key: {} bytes, at most {}", der.size(), kMostSpki);
  const ErrorQueueGuard guard;
  const unsigned char* next = der.data();
  std::shared_ptr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &next, static_cast<long>(der.size())), FreeKey{});
  if (key == nullptr || next != der.data() + der.size()) return malformed("public key: no SubjectPublicKeyInfo");
  if (!is_of_kind(key.get(), kind)) return malformed("public key: of another kind or size");
  const PkeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (context == nullptr || EVP_PKEY_public_check(context.get()) != 1) return malformed("public key: not a sound one");
  return PublicKey(kind, std::move(key));
}

Bytes PublicKey::spki() const {
  const ErrorQueueGuard guard;
  return spki_of(key_.get());
}

bool PublicKey::verify(SignatureScheme scheme, MessageForm form, ByteView message, ByteView signature) const {
  const SchemeTraits& traits = traits_of(scheme);
  if (traits.family != traits_of(kind_).family) return false;
  const ErrorQueueGuard guard;
  if (form == MessageForm::kMessage && hashes_itself(traits)) {
    DigestContext context = whole_message_context(key_.get(), traits, EVP_DigestVerifyInit);
    const bool good =
        EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
    free_set_context(context, traits);
    return good;
  }
  Bytes hashed;
  if (form == MessageForm::kMessage) {
    hashed = digest(traits.hash, message);
    message = hashed;
  }
  if (digest_length(scheme) == 0 || message.size() != digest_length(scheme)) return false;
  const PkeyContext context = digest_context(key_.get(), traits, EVP_PKEY_verify_init);
  return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

Result<Bytes> PublicKey::encrypt(EncryptionScheme scheme, ByteView plaintext) const {
  if (!fits(kind_, scheme)) return other_kind();
  if (plaintext.size() > most_plaintext(kind_, scheme)) {
    return over_limit("plaintext: {} bytes, at most {}", plaintext.size(), most_plaintext(kind_, scheme));
  }
  const ErrorQueueGuard guard;
  const PkeyContext context = encryption_context(key_.get(), scheme, EVP_PKEY_encrypt_init);
  std::size_t size = 0;
  if (EVP_PKEY_encrypt(context.get(), nullptr, &size, plaintext.data(), plaintext.size()) != 1) {
    return internal("encryption failed");
  }
  Bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plaintext.data(), plaintext.size()) != 1) {
    return internal("encryption failed");
  }
  out.resize(size);
  return out;
}

Result<PrivateKey> PrivateKey::generate(KeyKind kind) {
  const ErrorQueueGuard guard;
  const KindTraits& traits = traits_of(kind);
  EVP_PKEY* made = nullptr;
  switch (traits.family) {
    case Family::kRsa:
      made = EVP_RSA_gen(traits.bits);
      break;
    case Family::kEd25519:
      made = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
    case Family::kSm2:
      made = EVP_PKEY_Q_keygen(nullptr, nullptr, "SM2");
      break;
    case Family::kEc:
      made = EVP_EC_gen(traits.group);
      break;
  }
  std::shared_ptr<EVP_PKEY> key(made, FreeKey{});
  if (key == nullptr) return internal("key generation failed");
  return PrivateKey(kind, std::move(key));
}

Result<PrivateKey> PrivateKey::parse_pkcs8(KeyKind kind, const Secret& der, Check check) {
  const ErrorQueueGuard guard;
  std::shared_ptr<EVP_PKEY> key(read_pkcs8(der));
  if (key == nullptr) return malformed("private key: no PKCS#8");
  if (!is_of_kind(key.get(), kind)) return malformed("private key: of another kind or size");
  if (check == Check::kPair) {
    const PkeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr));
    if (context == nullptr || EVP_PKEY_public_check(context.get()) != 1 || EVP_PKEY_pairwise_check(context.get()) != 1)
      return malformed("private key: does not belong to its public key");
  }
  return PrivateKey(kind, std::move(key));
}

Secret PrivateKey::pkcs8() const {
  const ErrorQueueGuard guard;
  return pkcs8_of(key_.get());
}

Result<Bytes> PrivateKey::sign(SignatureScheme scheme, MessageForm form, ByteView message) const {
  const SchemeTraits& traits = traits_of(scheme);
  if (traits.family != traits_of(kind_).family) return other_kind();
  const ErrorQueueGuard guard;
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = out.size();
  if (form == MessageForm::kMessage && hashes_itself(traits)) {
    DigestContext context = whole_message_context(key_.get(), traits, EVP_DigestSignInit);
    const bool done = EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1;
    free_set_context(context, traits);
    if (!done) return internal("signing failed");
    out.resize(size);
    return out;
  }
  Bytes hashed;
  if (form == MessageForm::kMessage) {
    hashed = digest(traits.hash, message);
    message = hashed;
  }
  if (digest_length(scheme) == 0) return other_kind();
  if (message.size() != digest_length(scheme)) {
    return malformed("digest: {} bytes, want {}", message.size(), digest_length(scheme));
  }
  const PkeyContext context = digest_context(key_.get(), traits, EVP_PKEY_sign_init);
  if (EVP_PKEY_sign(context.get(), out.data(), &size, message.data(), message.size()) != 1)
    return internal("signing failed");
  out.resize(size);
  return out;
}

Result<Secret> PrivateKey::decrypt(EncryptionScheme scheme, ByteView ciphertext) const {
  if (!fits(kind_, scheme)) return other_kind();
  const ErrorQueueGuard guard;
  const PkeyContext context = encryption_context(key_.get(), scheme, EVP_PKEY_decrypt_init);
  // SM2's size query parses the ciphertext; no plaintext is longer than it.
  Secret out = Secret::of_size(std::max(ciphertext.size(), static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()))));
  std::size_t size = out.size();
  if (EVP_PKEY_decrypt(context.get(), out.expose_mutable().data(), &size, ciphertext.data(), ciphertext.size()) != 1 ||
      size > out.size()) {
    return untrusted("decryption failed");
  }
  out.truncate(size);
  return out;
}

Result<Secret> PrivateKey::agree(const PublicKey& peer) const {
  const KindTraits& traits = traits_of(kind_);
  if (traits.family != Family::kEc && traits.family != Family::kSm2) return other_kind();
  if (peer.kind_ != kind_) return malformed("ecdh: the peer's key is on another curve");
  const ErrorQueueGuard guard;
  if (traits.family == Family::kSm2) return multiply(key_.get(), peer.key_.get(), traits.field_bytes);
  const PkeyContext context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  if (context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.key_.get()) != 1) {
    return malformed("ecdh: the peer's key");
  }
  Secret out = Secret::of_size(traits.field_bytes);
  std::size_t size = out.size();
  if (EVP_PKEY_derive(context.get(), out.expose_mutable().data(), &size) != 1 || size != out.size())
    return malformed("ecdh: the peer's key");
  return out;
}

}  // namespace casemate::crypto
