// SPDX-License-Identifier: Apache-2.0
#include "cose/sign1.h"

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"

namespace casemate::cose {
namespace {

using testing::HasSubstr;

Bytes hex(std::string_view text) { return decode_hex(text).take(); }

class Sign1Curve : public testing::TestWithParam<crypto::Curve> {};
INSTANTIATE_TEST_SUITE_P(Nist, Sign1Curve, testing::Values(crypto::Curve::kP256, crypto::Curve::kP384, crypto::Curve::kP521));

TEST_P(Sign1Curve, WhatIsSignedVerifiesInBothTaggings) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(GetParam(), rng);
  const auto other = crypto::EcPrivateKey::generate(GetParam(), rng);
  for (const Tagging tagging : {Tagging::kUntagged, Tagging::kTagged}) {
    const Bytes message = sign1(as_bytes("payload"), key, rng, tagging);
    const Sign1 parsed = parse_sign1(message).take();
    EXPECT_EQ(parsed.tagging, tagging);
    EXPECT_EQ(as_text(parsed.payload), "payload");
    EXPECT_EQ(curve_of(parsed.algorithm), GetParam());
    EXPECT_THAT(verify_signature(parsed, key.public_key()), IsOk());
    EXPECT_THAT(verify_signature(parsed, other.public_key()), IsError(ErrorCode::kUntrusted, HasSubstr("does not verify")));
  }
}

TEST(Sign1, HasTheByteShapeOfRealDocuments) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  const Bytes message = sign1(Bytes(300, 0xaa), key, rng);
  EXPECT_EQ(encode_hex(ByteView(message).first(10)), "8444a1013822a059012c");
  EXPECT_EQ(encode_hex(ByteView(message).subspan(10 + 300, 2)), "5860");
}

TEST(Sign1, RejectsAKeyOfAnotherCurve) {
  crypto::SystemRng rng;
  const Bytes message = sign1(as_bytes("x"), crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng), rng);
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP256, rng);
  EXPECT_THAT(verify_signature(parse_sign1(message).take(), key.public_key()), IsError(ErrorCode::kUntrusted, HasSubstr("P-256, want P-384")));
}

TEST(Sign1, NamesWhatIsWrongInTheShape) {
  const std::string signature = "5860" + std::string(192, '1');
  const struct {
    std::string message;
    ErrorCode code;
    std::string_view text;
  } cases[] = {
      {"", ErrorCode::kMalformed, "input ends"},
      {"d11844", ErrorCode::kMalformed, "tag 17"},
      {"83" "44a1013822" "a0" "4101", ErrorCode::kMalformed, "array of 3"},
      {"84" "40" "a0" "4101" + signature, ErrorCode::kMalformed, "protected header"},
      {"84" "43a10120" "a0" "4101" + signature, ErrorCode::kUnsupported, "algorithm -1"},
      {"84" "47a2013822044101" "a0" "4101" + signature, ErrorCode::kMalformed, "2 parameters"},
      {"84" "45a101382200" "a0" "4101" + signature, ErrorCode::kMalformed, "after the end"},
      {"84" "44a1023822" "a0" "4101" + signature, ErrorCode::kMalformed, "parameter 2"},
      {"84" "44a1013822" "a10400" "4101" + signature, ErrorCode::kMalformed, "unprotected header: 1"},
      {"84" "44a1013822" "a0" "f6" + signature, ErrorCode::kMalformed, "payload: offset 7: null"},
      {"84" "44a1013822" "a0" "40" + signature, ErrorCode::kMalformed, "payload: empty"},
      {"84" "44a1013822" "a0" "4101" "4101", ErrorCode::kMalformed, "signature: 1 bytes, want 96"},
      {"84" "44a1013822" "a0" "4101" + signature + "00", ErrorCode::kMalformed, "1 bytes after"},
      {"9f" "44a1013822" "a0" "4101" + signature + "ff", ErrorCode::kMalformed, "indefinite"},
  };
  for (const auto& test : cases) {
    EXPECT_THAT(parse_sign1(hex(test.message)), IsError(test.code, HasSubstr(std::string(test.text)))) << test.message;
  }
}

TEST(Sign1, BoundsThePayload) {
  crypto::SystemRng rng;
  const auto key = crypto::EcPrivateKey::generate(crypto::Curve::kP384, rng);
  EXPECT_THAT(parse_sign1(sign1(Bytes(16384), key, rng)), IsOk());
  EXPECT_THAT(parse_sign1(sign1(Bytes(16385), key, rng)), IsError(ErrorCode::kLimit, HasSubstr("16385")));
  EXPECT_THAT(parse_sign1(Bytes(1 << 20)), IsError(ErrorCode::kLimit, HasSubstr("1048576")));
}

}  // namespace
}  // namespace casemate::cose
