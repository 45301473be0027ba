// SPDX-License-Identifier: Apache-2.0
#include "crypto/pkey.h"

#include <gmock/gmock.h>

#include <map>

#include "base/test_matchers.h"

namespace casemate::crypto {
namespace {

const PrivateKey& key_of(KeyKind kind) {
  static std::map<KeyKind, PrivateKey> keys;
  auto it = keys.find(kind);
  if (it == keys.end()) it = keys.emplace(kind, PrivateKey::generate(kind).take()).first;
  return it->second;
}

struct Case {
  KeyKind kind;
  SignatureScheme scheme;
};
constexpr Case kSigning[] = {
    {KeyKind::kRsa2048, SignatureScheme::kPkcs1Sha256}, {KeyKind::kRsa2048, SignatureScheme::kPkcs1Sha384},
    {KeyKind::kRsa2048, SignatureScheme::kPkcs1Sha512}, {KeyKind::kRsa2048, SignatureScheme::kPssSha256},
    {KeyKind::kRsa2048, SignatureScheme::kPssSha384},   {KeyKind::kRsa2048, SignatureScheme::kPssSha512},
    {KeyKind::kP256, SignatureScheme::kEcdsaSha256},    {KeyKind::kP384, SignatureScheme::kEcdsaSha384},
    {KeyKind::kP521, SignatureScheme::kEcdsaSha512},    {KeyKind::kSecp256k1, SignatureScheme::kEcdsaSha256},
    {KeyKind::kEd25519, SignatureScheme::kEd25519},     {KeyKind::kSm2, SignatureScheme::kSm2}};

TEST(PrivateKey, SignsWhatItsPublicKeyVerifiesAndNothingElse) {
  const ByteView message = as_bytes("message");
  for (const Case& c : kSigning) {
    SCOPED_TRACE(static_cast<int>(c.scheme));
    const PrivateKey& key = key_of(c.kind);
    const auto signature = key.sign(c.scheme, MessageForm::kMessage, message);
    ASSERT_THAT(signature, IsOk());
    const auto reread = PublicKey::parse_spki(c.kind, key.public_key().spki());
    ASSERT_THAT(reread, IsOk());
    EXPECT_TRUE(reread->verify(c.scheme, MessageForm::kMessage, message, *signature));
    EXPECT_FALSE(reread->verify(c.scheme, MessageForm::kMessage, as_bytes("massage"), *signature));
    Bytes damaged = *signature;
    damaged[damaged.size() / 2] ^= 1;
    EXPECT_FALSE(reread->verify(c.scheme, MessageForm::kMessage, message, damaged));
    EXPECT_FALSE(reread->verify(c.scheme, MessageForm::kMessage, message, {}));
  }
}

TEST(PrivateKey, SignsDigestsOfTheRightLengthOnly) {
  for (const Case& c : kSigning) {
    SCOPED_TRACE(static_cast<int>(c.scheme));
    const PrivateKey& key = key_of(c.kind);
    const std::size_t length = digest_length(c.scheme);
    const Bytes digest(length == 0 ? 64 : length, 7);
    const auto signature = key.sign(c.scheme, MessageForm::kDigest, digest);
    if (length == 0) {
      EXPECT_THAT(signature, IsError(ErrorCode::kUnsupported));
      continue;
    }
    ASSERT_THAT(signature, IsOk());
    EXPECT_TRUE(key.public_key().verify(c.scheme, MessageForm::kDigest, digest, *signature));
    EXPECT_THAT(key.sign(c.scheme, MessageForm::kDigest, Bytes(length - 1, 7)), IsError(ErrorCode::kMalformed));
    EXPECT_FALSE(key.public_key().verify(c.scheme, MessageForm::kDigest, Bytes(length - 1, 7), *signature));
  }
}

TEST(PrivateKey, DecryptsWhatItsPublicKeyEncrypted) {
  const std::pair<KeyKind, EncryptionScheme> cases[] = {{KeyKind::kRsa2048, EncryptionScheme::kOaepSha1},
                                                        {KeyKind::kRsa2048, EncryptionScheme::kOaepSha256},
                                                        {KeyKind::kRsa2048, EncryptionScheme::kPkcs1},
                                                        {KeyKind::kSm2, EncryptionScheme::kSm2}};
  for (const auto& [kind, scheme] : cases) {
    SCOPED_TRACE(static_cast<int>(scheme));
    const PrivateKey& key = key_of(kind);
    for (const std::size_t size : {std::size_t{1}, std::size_t{100}, most_plaintext(kind, scheme)}) {
      const Bytes plaintext(size, 9);
      const auto sealed = key.public_key().encrypt(scheme, plaintext);
      ASSERT_THAT(sealed, IsOk());
      const auto opened = key.decrypt(scheme, *sealed);
      ASSERT_THAT(opened, IsOk());
      EXPECT_TRUE(equal(opened->expose(), plaintext));
      Bytes damaged = *sealed;
      damaged.back() ^= 1;
      // OpenSSL 3.2 and later answer bad PKCS #1 v1.5 padding with a random plaintext (implicit rejection).
      const auto other = key.decrypt(scheme, damaged);
      if (scheme == EncryptionScheme::kPkcs1 && other) {
        EXPECT_FALSE(equal(other->expose(), plaintext));
      } else {
        EXPECT_THAT(other, IsError(ErrorCode::kUntrusted));
      }
    }
    EXPECT_THAT(key.public_key().encrypt(scheme, Bytes(most_plaintext(kind, scheme) + 1)), IsError(ErrorCode::kLimit));
  }
  EXPECT_THAT(key_of(KeyKind::kP256).public_key().encrypt(EncryptionScheme::kOaepSha1, Bytes(1)),
              IsError(ErrorCode::kUnsupported));
}

TEST(PrivateKey, AgreesWithItsPeer) {
  for (const auto& [kind, width] : {std::pair{KeyKind::kP256, 32U},
                                    {KeyKind::kP384, 48U},
                                    {KeyKind::kP521, 66U},
                                    {KeyKind::kSecp256k1, 32U},
                                    {KeyKind::kSm2, 32U}}) {
    const PrivateKey a = PrivateKey::generate(kind).take();
    const PrivateKey b = PrivateKey::generate(kind).take();
    const auto one = a.agree(b.public_key());
    const auto two = b.agree(a.public_key());
    ASSERT_THAT(one, IsOk());
    ASSERT_THAT(two, IsOk());
    EXPECT_TRUE(equal(one->expose(), two->expose()));
    EXPECT_EQ(one->size(), width);
    const KeyKind other = kind == KeyKind::kP256 ? KeyKind::kP384 : KeyKind::kP256;
    EXPECT_THAT(a.agree(key_of(other).public_key()), IsError(ErrorCode::kMalformed));
  }
}

TEST(PrivateKey, ComesBackFromItsFileFormAsTheSameKind) {
  for (const KeyKind kind : {KeyKind::kRsa2048, KeyKind::kP256, KeyKind::kP384, KeyKind::kP521, KeyKind::kSecp256k1,
                             KeyKind::kEd25519, KeyKind::kSm2}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const PrivateKey& key = key_of(kind);
    const auto again = PrivateKey::parse_pkcs8(kind, key.pkcs8(), PrivateKey::Check::kPair);
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->public_key().spki(), key.public_key().spki());
    const KeyKind other = kind == KeyKind::kRsa2048 ? KeyKind::kRsa3072 : KeyKind::kRsa2048;
    EXPECT_THAT(PrivateKey::parse_pkcs8(other, key.pkcs8()), IsError(ErrorCode::kMalformed));
    EXPECT_THAT(PublicKey::parse_spki(other, key.public_key().spki()), IsError(ErrorCode::kMalformed));
    Bytes longer = key.public_key().spki();
    longer.push_back(0);
    EXPECT_THAT(PublicKey::parse_spki(kind, longer), IsError(ErrorCode::kMalformed));
  }
  EXPECT_THAT(PublicKey::parse_spki(KeyKind::kP256, Bytes(4096)), IsError(ErrorCode::kLimit));
}

}  // namespace
}  // namespace casemate::crypto
