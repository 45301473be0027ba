// SPDX-License-Identifier: Apache-2.0
#include "crypto/ecdsa.h"

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"

namespace casemate::crypto {
namespace {

using testing::HasSubstr;

Secret secret_hex(std::string_view text) { return Secret(decode_hex(text).take()); }

// StuckRng is what the hedged nonce protects against.
class StuckRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), std::uint8_t{7}); }
};

class EcdsaCurve : public testing::TestWithParam<Curve> {};
INSTANTIATE_TEST_SUITE_P(Nist, EcdsaCurve, testing::Values(Curve::kP256, Curve::kP384, Curve::kP521),
                         [](const auto& test) { return "P" + std::string(to_string(test.param).substr(2)); });

TEST_P(EcdsaCurve, SignaturesVerifyHereAndUnderOpenSsl) {
  SystemRng rng;
  for (int i = 0; i < 20; ++i) {
    const EcPrivateKey key = EcPrivateKey::generate(GetParam(), rng);
    Bytes message(static_cast<std::size_t>(i));
    rng.fill(message);
    const Bytes hash = digest(matching_hash(GetParam()), message);
    const Bytes ours = key.sign(hash, rng);
    ASSERT_EQ(ours.size(), 2 * field_size(GetParam()));
    EXPECT_TRUE(key.public_key().verify(hash, ours));
    EXPECT_TRUE(reference::verify(key.public_key(), hash, ours));
    EXPECT_TRUE(key.public_key().verify(hash, reference::sign(key, hash)));
  }
}

TEST_P(EcdsaCurve, EveryFlippedBitOfTheSignatureFails) {
  SystemRng rng;
  const EcPrivateKey key = EcPrivateKey::generate(GetParam(), rng);
  const Bytes hash = digest(matching_hash(GetParam()), as_bytes("casemate"));
  Bytes signature = key.sign(hash, rng);
  for (std::size_t bit = 0; bit < signature.size() * 8; bit += 7) {
    signature[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_FALSE(key.public_key().verify(hash, signature)) << bit;
    signature[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
  }
}

TEST_P(EcdsaCurve, KeysSurviveEveryEncoding) {
  SystemRng rng;
  const EcPrivateKey key = EcPrivateKey::generate(GetParam(), rng);
  EXPECT_TRUE(EcPrivateKey::from_der(key.pkcs8_der().expose()).take().scalar() == key.scalar());
  EXPECT_TRUE(EcPrivateKey::from_pem(as_text(key.pkcs8_pem().expose())).take().public_key() == key.public_key());
  EXPECT_TRUE(EcPublicKey::from_spki_der(key.public_key().spki_der()).take() == key.public_key());
  EXPECT_TRUE(EcPublicKey::from_pem(key.public_key().pem()).take() == key.public_key());
}

TEST_P(EcdsaCurve, RejectsZeroAndOutOfRangeHalves) {
  SystemRng rng;
  const std::size_t half = field_size(GetParam());
  const EcPrivateKey key = EcPrivateKey::generate(GetParam(), rng);
  const Bytes hash = digest(matching_hash(GetParam()), as_bytes("casemate"));
  const Bytes good = key.sign(hash, rng);
  for (const std::uint8_t fill : {std::uint8_t{0x00}, std::uint8_t{0xff}}) {
    Bytes bad_r = good;
    std::fill_n(bad_r.begin(), half, fill);
    EXPECT_FALSE(key.public_key().verify(hash, bad_r));
    Bytes bad_s = good;
    std::fill_n(bad_s.begin() + static_cast<std::ptrdiff_t>(half), half, fill);
    EXPECT_FALSE(key.public_key().verify(hash, bad_s));
  }
  EXPECT_FALSE(key.public_key().verify(hash, ByteView(good).first(good.size() - 1)));
  EXPECT_FALSE(key.public_key().verify(hash, {}));
}

// RFC 6979, A.2.6: the private key and its public point; the signature of "sample" with SHA-384.
constexpr std::string_view kRfcScalar =
    "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5";
constexpr std::string_view kRfcPoint =
    "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13"
    "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720";
constexpr std::string_view kRfcSignature =
    "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
    "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8";

TEST(EcdsaP384, AgreesWithRfc6979Vectors) {
  const EcPrivateKey key = EcPrivateKey::from_scalar(Curve::kP384, secret_hex(kRfcScalar)).take();
  EXPECT_EQ(encode_hex(key.public_key().point()), kRfcPoint);
  EXPECT_TRUE(key.public_key().verify(sha384(as_bytes("sample")), decode_hex(kRfcSignature).take()));
  EXPECT_FALSE(key.public_key().verify(sha384(as_bytes("simple")), decode_hex(kRfcSignature).take()));
}

TEST(EcdsaP384, RejectsTheOrderItselfAndAcceptsOneBelow) {
  const std::string_view n =
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
  EXPECT_THAT(EcPrivateKey::from_scalar(Curve::kP384, secret_hex(n)), IsError(ErrorCode::kMalformed, HasSubstr("[1, n-1]")));
  std::string below(n);
  below.back() = '2';
  EXPECT_THAT(EcPrivateKey::from_scalar(Curve::kP384, secret_hex(below)), IsOk());
  EXPECT_THAT(EcPrivateKey::from_scalar(Curve::kP384, Secret::of_size(48)), IsError(ErrorCode::kMalformed));
}

TEST(EcdsaP384, AStuckRandomSourceDoesNotRepeatTheNonce) {
  StuckRng rng;
  const EcPrivateKey key = EcPrivateKey::from_scalar(Curve::kP384, secret_hex(kRfcScalar)).take();
  const Bytes first = key.sign(sha384(as_bytes("a")), rng);
  const Bytes second = key.sign(sha384(as_bytes("b")), rng);
  EXPECT_FALSE(equal(ByteView(first).first(48), ByteView(second).first(48)));
}

TEST(EcPublicKey, RejectsPointsOffTheCurve) {
  for (const Curve curve : {Curve::kP256, Curve::kP384, Curve::kP521}) {
    Bytes point(1 + 2 * field_size(curve));
    point[0] = 4;
    EXPECT_THAT(EcPublicKey::from_point(curve, point), IsError(ErrorCode::kMalformed, HasSubstr("not on")));
    std::fill(point.begin() + 1, point.end(), std::uint8_t{0xff});
    EXPECT_THAT(EcPublicKey::from_point(curve, point), IsError(ErrorCode::kMalformed, HasSubstr("not on")));
    point[0] = 2;
    EXPECT_THAT(EcPublicKey::from_point(curve, point), IsError(ErrorCode::kUnsupported, HasSubstr("compressed")));
    EXPECT_THAT(EcPublicKey::from_point(curve, {}), IsError(ErrorCode::kMalformed));
  }
}

// openssl ecparam -name prime256v1 -genkey -noout, and openssl genrsa piped through pkcs8 -topk8 -nocrypt (cut).
TEST(EcPrivateKey, ReadsSec1AndNamesWhatItDoesNot) {
  EXPECT_THAT(EcPrivateKey::from_pem("-----BEGIN EC PRIVATE KEY-----\n"
                                     "MHcCAQEEIEjl4OkNV5Q1lIV2vR4PTvUV2SwTbZUo3aSIKBNuPwDuoAoGCCqGSM49\n"
                                     "AwEHoUQDQgAE\n-----END EC PRIVATE KEY-----\n"),
              IsError(ErrorCode::kMalformed));
  EXPECT_THAT(EcPrivateKey::from_pem(""), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(EcPrivateKey::from_der({}), IsError(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace casemate::crypto
