// SPDX-License-Identifier: Apache-2.0
// Asymmetric keys of every kind that KMS has and OpenSSL 3.0 can do: RSA, the NIST curves, secp256k1, Ed25519, SM2.
#pragma once

#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/digest.h"

struct evp_pkey_st;

namespace casemate::crypto {

enum class KeyKind : std::uint8_t {
  kRsa2048,
  kRsa3072,
  kRsa4096,
  kP256,
  kP384,
  kP521,
  kSecp256k1,
  kEd25519,
  kSm2,
};

// SignatureScheme: PSS salts are as long as the hash and MGF1 uses the same hash; ECDSA and SM2 signatures are DER
// (X9.62); SM2 hashes with SM3 and the default distinguishing identifier `1234567812345678`.
enum class SignatureScheme : std::uint8_t {
  kPkcs1Sha256,
  kPkcs1Sha384,
  kPkcs1Sha512,
  kPssSha256,
  kPssSha384,
  kPssSha512,
  kEcdsaSha256,
  kEcdsaSha384,
  kEcdsaSha512,
  kEd25519,
  kSm2,
};

// EncryptionScheme: OAEP labels are empty and MGF1 uses the same hash; SM2 ciphertexts are DER (GB/T 35276).
enum class EncryptionScheme : std::uint8_t { kOaepSha1, kOaepSha256, kPkcs1, kSm2 };

// MessageForm: whether what is signed is the message or already its digest.
enum class MessageForm : std::uint8_t { kMessage, kDigest };

// digest_length is what a digest for the scheme must have; 0 for schemes that take messages only.
std::size_t digest_length(SignatureScheme scheme);
// most_plaintext is the longest that one encryption takes.
std::size_t most_plaintext(KeyKind kind, EncryptionScheme scheme);

// PublicKey may be copied and used by several threads; copies share the immutable key.
class PublicKey {
 public:
  // parse_spki reads a DER SubjectPublicKeyInfo of that kind, at most 2 KiB, and nothing after it; points must be on
  // their curve. Errors: kMalformed, kLimit.
  static Result<PublicKey> parse_spki(KeyKind kind, ByteView der);

  KeyKind kind() const { return kind_; }
  Bytes spki() const;
  // verify is false for anything but a good signature, digests of a wrong length and schemes of other kinds included.
  bool verify(SignatureScheme scheme, MessageForm form, ByteView message, ByteView signature) const;
  // Errors: kLimit (longer than most_plaintext), kUnsupported (a scheme of another kind).
  Result<Bytes> encrypt(EncryptionScheme scheme, ByteView plaintext) const;

 private:
  friend class PrivateKey;
  PublicKey(KeyKind kind, std::shared_ptr<evp_pkey_st> key) : kind_(kind), key_(std::move(key)) {}
  KeyKind kind_;
  std::shared_ptr<evp_pkey_st> key_;
};

// PrivateKey may be used by several threads. Its numbers live in OpenSSL's memory and are cleared with it.
class PrivateKey {
 public:
  // generate takes some 100 ms for RSA of 2048 bits, seconds for 4096, and less than one for curves.
  static Result<PrivateKey> generate(KeyKind kind);
  // parse_pkcs8 reads a DER PrivateKeyInfo of that kind and nothing after it. With Check::kPair the halves are proven
  // to belong together. Errors: kMalformed.
  enum class Check { kShape, kPair };
  static Result<PrivateKey> parse_pkcs8(KeyKind kind, const Secret& der, Check check = Check::kShape);

  KeyKind kind() const { return kind_; }
  PublicKey public_key() const { return {kind_, key_}; }
  Secret pkcs8() const;
  // Errors: kMalformed (digest of a wrong length), kUnsupported (a scheme of another kind).
  Result<Bytes> sign(SignatureScheme scheme, MessageForm form, ByteView message) const;
  // Errors: kUntrusted, whatever the reason; kUnsupported.
  Result<Secret> decrypt(EncryptionScheme scheme, ByteView ciphertext) const;
  // agree is ECDH (SP 800-56A, 5.7.1.2): the x coordinate, as wide as the field. Errors: kUnsupported, kMalformed (a
  // peer on another curve).
  Result<Secret> agree(const PublicKey& peer) const;

 private:
  PrivateKey(KeyKind kind, std::shared_ptr<evp_pkey_st> key) : kind_(kind), key_(std::move(key)) {}
  KeyKind kind_;
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace casemate::crypto
