// SPDX-License-Identifier: Apache-2.0
#include "crypto/kdf.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/digest.h"

namespace casemate::crypto {
namespace {

TEST(Hmac, GivesWhatOpensslGivesForKeysAndTextsOfEveryLength) {
  const std::array<std::pair<Hash, const EVP_MD*>, 4> kHashes{{{Hash::kSha224, EVP_sha224()},
                                                               {Hash::kSha256, EVP_sha256()},
                                                               {Hash::kSha384, EVP_sha384()},
                                                               {Hash::kSha512, EVP_sha512()}}};
  Bytes key(1, 0x40);
  for (std::size_t size = 0; size < 300; size += 7) {
    key.resize(size + 1, static_cast<std::uint8_t>(size));
    const Bytes text(300 - size, static_cast<std::uint8_t>(size * 3));
    for (const auto& [hash, algorithm] : kHashes) {
      std::array<std::uint8_t, EVP_MAX_MD_SIZE> wanted;
      unsigned length = 0;
      ASSERT_NE(HMAC(algorithm, key.data(), static_cast<int>(size), text.data(), text.size(), wanted.data(), &length), nullptr);
      EXPECT_EQ(encode_hex(hmac(hash, ByteView(key).first(size), text)), encode_hex(ByteView(wanted).first(length))) << size;
    }
  }
  EXPECT_EQ(encode_hex(hmac(Hash::kSha256, {}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// RFC 7914, 12, the first vector.
TEST(Scrypt, GivesTheStandardsVector) {
  const auto key = scrypt({}, {}, {.n = 16, .r = 1, .p = 1}, 64);
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(encode_hex(key->expose()),
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
            "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
}

TEST(Scrypt, RefusesCostsThatNobodyMeans) {
  EXPECT_THAT(scrypt({}, as_bytes("s"), {.n = 1 << 21}, 32), IsError(ErrorCode::kLimit));
  EXPECT_THAT(scrypt({}, as_bytes("s"), {.n = 1000}, 32), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(scrypt({}, as_bytes("s"), {.n = 1024, .r = 0}, 32), IsError(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace casemate::crypto
