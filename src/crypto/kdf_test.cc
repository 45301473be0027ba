// SPDX-License-Identifier: Apache-2.0
#include "crypto/kdf.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"

namespace casemate::crypto {
namespace {

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
