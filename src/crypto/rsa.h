// SPDX-License-Identifier: Apache-2.0
// RSAES-OAEP with SHA-256 and MGF1-SHA-256, empty label (RFC 8017, 7.1): what a recipient's key is used for.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

struct evp_pkey_st;

namespace casemate::crypto {

struct FreePkey {
  void operator()(evp_pkey_st* key) const;
};

struct RsaLimits {
  unsigned least_bits = 2048;
  // Bounds the time that one hostile key can cost.
  unsigned most_bits = 4096;
};

// RsaPublicKey can be copied cheaply: copies share the immutable key.
class RsaPublicKey {
 public:
  // parse_spki reads a DER SubjectPublicKeyInfo of an RSA key and nothing after it. Errors: kMalformed (not RSA, bad
  // exponent, trailing bytes), kLimit (size).
  static Result<RsaPublicKey> parse_spki(ByteView der, const RsaLimits& limits = {});

  unsigned bits() const;
  Bytes spki() const;
  // encrypt_oaep_sha256 takes at most bits/8 - 66 bytes. Errors: kLimit.
  Result<Bytes> encrypt_oaep_sha256(ByteView plaintext) const;

 private:
  friend class RsaPrivateKey;
  RsaPublicKey(std::shared_ptr<evp_pkey_st> key, std::shared_ptr<const Bytes> spki) : key_(std::move(key)), spki_(std::move(spki)) {}
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<const Bytes> spki_;  // null where it was read in another form than spki() writes
};

class RsaPrivateKey {
 public:
  // generate makes a key with exponent 65537 from OpenSSL's generator. 2048 bits take some 100 ms.
  static Result<RsaPrivateKey> generate(unsigned bits);
  static Result<RsaPrivateKey> parse_pkcs8(const Secret& der);

  RsaPublicKey public_key() const;
  Secret pkcs8() const;
  unsigned bits() const;
  // decrypt_oaep_sha256 errs with kUntrusted, whatever the reason.
  Result<Secret> decrypt_oaep_sha256(ByteView ciphertext) const;

 private:
  explicit RsaPrivateKey(std::shared_ptr<evp_pkey_st> key);
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<const Bytes> spki_;
};

}  // namespace casemate::crypto
