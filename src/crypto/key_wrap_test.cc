// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_wrap.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/test_matchers.h"

namespace casemate::crypto {
namespace {

TEST(KeyWrap, OpensWhatItMadeAndNothingElse) {
  const Bytes key(32, 3);
  for (const std::size_t size : {1UL, 7UL, 8UL, 9UL, 32UL, 1217UL}) {
    const Secret content = Secret::copy_of(Bytes(size, 5));
    const Bytes wrapped = wrap_key_padded(key, content);
    EXPECT_EQ(wrapped.size(), (size + 7) / 8 * 8 + 8);
    const auto opened = unwrap_key_padded(key, wrapped);
    ASSERT_THAT(opened, IsOk());
    EXPECT_TRUE(*opened == content);
    EXPECT_THAT(unwrap_key_padded(Bytes(32, 4), wrapped), IsError(ErrorCode::kUntrusted));
    Bytes damaged = wrapped;
    damaged[3] ^= 1;
    EXPECT_THAT(unwrap_key_padded(key, damaged), IsError(ErrorCode::kUntrusted));
    damaged.pop_back();
    EXPECT_THAT(unwrap_key_padded(key, damaged), IsError(ErrorCode::kUntrusted));
  }
  EXPECT_THAT(unwrap_key_padded(key, {}), IsError(ErrorCode::kUntrusted));
}

}  // namespace
}  // namespace casemate::crypto
