// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_gcm.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/kdf.h"

namespace casemate::crypto {
namespace {

const Bytes kKey(32, 0);
const Bytes kNonce(12, 0);

TEST(AesGcm, MatchesTheSpecificationsTestCases13And14) {
  EXPECT_EQ(encode_hex(seal_aes_256_gcm(kKey, kNonce, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(encode_hex(seal_aes_256_gcm(kKey, kNonce, {}, Bytes(16, 0))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(AesGcm, OpensWhatItSealedAndNothingElse) {
  const Bytes aad = to_bytes(as_bytes("header"));
  const Bytes sealed = seal_aes_256_gcm(kKey, kNonce, aad, as_bytes("plaintext"));
  const auto opened = open_aes_256_gcm(kKey, kNonce, aad, sealed);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(as_text(opened->expose()), "plaintext");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes damaged = sealed;
    damaged[i] ^= 1;
    EXPECT_THAT(open_aes_256_gcm(kKey, kNonce, aad, damaged), IsError(ErrorCode::kUntrusted));
    EXPECT_THAT(open_aes_256_gcm(kKey, kNonce, aad, ByteView(sealed).first(i)), IsError(ErrorCode::kUntrusted));
  }
  EXPECT_THAT(open_aes_256_gcm(kKey, kNonce, as_bytes("other"), sealed), IsError(ErrorCode::kUntrusted));
}

TEST(Hkdf, MatchesRfc5869TestCase1) {
  const Bytes salt = decode_hex("000102030405060708090a0b0c").value();
  const Bytes info = decode_hex("f0f1f2f3f4f5f6f7f8f9").value();
  EXPECT_EQ(encode_hex(hkdf_sha256(Bytes(22, 0x0b), salt, as_text(info), 42).expose()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

}  // namespace
}  // namespace casemate::crypto
