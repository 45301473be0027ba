// SPDX-License-Identifier: Apache-2.0
#include "crypto/cms.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/digest.h"
#include "crypto/rng.h"

namespace casemate::crypto {
namespace {

const RsaPrivateKey& test_key() {
  static const RsaPrivateKey key = RsaPrivateKey::generate(2048).take();
  return key;
}

Bytes envelope_of(std::string_view content) {
  SystemRng rng;
  return encode_enveloped_data(test_key().public_key(), Secret::copy_of(as_bytes(content)), rng).take();
}

Bytes element(std::uint8_t tag, ByteView content) {
  Bytes out{tag};
  if (content.size() >= 256) {
    out.push_back(0x82);
    append_be<2>(out, content.size());
  } else {
    if (content.size() >= 128) out.push_back(0x81);
    out.push_back(static_cast<std::uint8_t>(content.size()));
  }
  append(out, content);
  return out;
}

// The same envelope with definite lengths and primitive content, as a DER encoder would write it. RSA-2048 and one
// block.
Bytes definite_form(ByteView ber) {
  constexpr std::size_t kSetSize = 4 + 0x16b;
  const ByteView recipients = ber.subspan(20, kSetSize);
  Bytes content_info = to_bytes(ber.subspan(20 + kSetSize + 2, 11 + 31));
  append(content_info, element(0x80, ber.subspan(ber.size() - 10 - 16, 16)));
  Bytes enveloped{0x02, 0x01, 0x02};
  append(enveloped, recipients);
  append(enveloped, element(0x30, content_info));
  Bytes top = to_bytes(ber.subspan(2, 11));
  append(top, element(0xa0, element(0x30, enveloped)));
  return element(0x30, top);
}

TEST(Cms, HasTheSizeAndTheOctetsOfRealServiceAnswers) {
  const Bytes envelope = envelope_of("28 bytes of secret plaintext");
  EXPECT_EQ(envelope.size(), 477U);
  const std::string hex = encode_hex(envelope);
  EXPECT_EQ(hex.substr(0, 60), "308006092a864886f70d010703a08030800201023182016b308201670201");
  EXPECT_EQ(hex.substr(60, 6), "028020");
  EXPECT_EQ(hex.substr(66, 64), encode_hex(sha256(test_key().public_key().spki())));
  EXPECT_THAT(hex, testing::HasSubstr("308006092a864886f70d010701301d060960864801650304012a0410"));
  EXPECT_TRUE(hex.ends_with("00000000000000000000"));
}

TEST(Cms, OpensWhatItEncodedForAnySize) {
  SystemRng rng;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17},
                                 std::size_t{4096}, kMaxEnvelopeContent}) {
    const std::string content(size, 'x');
    const auto opened = open_enveloped_data(envelope_of(content), test_key(), rng);
    ASSERT_THAT(opened, IsOk()) << size;
    EXPECT_EQ(as_text(opened->expose()), content);
  }
  EXPECT_THAT(encode_enveloped_data(test_key().public_key(), Secret::of_size(kMaxEnvelopeContent + 1), rng),
              IsError(ErrorCode::kLimit));
}

TEST(Cms, AcceptsDefiniteLengthsAndPrimitiveContent) {
  SystemRng rng;
  const auto opened = open_enveloped_data(definite_form(envelope_of("value")), test_key(), rng);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(as_text(opened->expose()), "value");
}

TEST(Cms, GivesOneErrorForEveryDamage) {
  SystemRng rng;
  const Bytes envelope = envelope_of("secret");
  for (std::size_t i = 0; i < envelope.size(); ++i) {
    // A change of the last ciphertext or IV bits may leave valid padding behind: CBC has no authentication.
    if (i >= envelope.size() - 10 - 16 - 4 - 16 && i < envelope.size() - 10) continue;
    Bytes damaged = envelope;
    damaged[i] ^= 0x41;
    const auto opened = open_enveloped_data(damaged, test_key(), rng);
    EXPECT_THAT(opened, IsError(ErrorCode::kUntrusted, "enveloped data: not for this key, or damaged")) << i;
    EXPECT_THAT(open_enveloped_data(ByteView(envelope).first(i), test_key(), rng), IsError(ErrorCode::kUntrusted)) << i;
  }
  Bytes longer = envelope;
  longer.push_back(0);
  EXPECT_THAT(open_enveloped_data(longer, test_key(), rng), IsError(ErrorCode::kUntrusted));
}

TEST(Cms, IsOpenedByTheOpensslCommand) {
  char folder[] = "/tmp/cms_test_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::filesystem::path root(folder);
  const auto write = [&](const char* name, ByteView data) {
    std::ofstream(root / name, std::ios::binary).write(as_text(data).data(), static_cast<std::streamsize>(data.size()));
  };
  for (const std::size_t size : {std::size_t{1}, std::size_t{32}, std::size_t{4096}}) {
    const std::string content(size, 'p');
    write("key.der", test_key().pkcs8().expose());
    write("blob", envelope_of(content));
    const std::string command = "openssl cms -decrypt -inform DER -in " + (root / "blob").string() +
                                " -keyform DER -inkey " + (root / "key.der").string() + " -out " +
                                (root / "out").string();
    ASSERT_EQ(system(command.c_str()), 0);
    std::string out(std::filesystem::file_size(root / "out"), '\0');
    std::ifstream(root / "out", std::ios::binary).read(out.data(), static_cast<std::streamsize>(out.size()));
    EXPECT_EQ(out, content);
  }
  std::filesystem::remove_all(root);
}

TEST(RsaPublicKey, RefusesOtherKindsSizesAndTrailingBytes) {
  const Bytes spki = test_key().public_key().spki();
  EXPECT_THAT(RsaPublicKey::parse_spki(spki), IsOk());
  Bytes trailing = spki;
  trailing.push_back(0);
  EXPECT_THAT(RsaPublicKey::parse_spki(trailing), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(RsaPublicKey::parse_spki(ByteView(spki).first(spki.size() - 1)), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(RsaPublicKey::parse_spki({}), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(RsaPublicKey::parse_spki(Bytes(2000, 0x30)), IsError(ErrorCode::kLimit));
  const Bytes small = RsaPrivateKey::generate(1024)->public_key().spki();
  EXPECT_THAT(RsaPublicKey::parse_spki(small),
              IsError(ErrorCode::kLimit, "rsa public key: 1024 bits, want 2048 to 4096"));
}

TEST(RsaPrivateKey, RoundTripsThroughPkcs8AndOaep) {
  const auto copy = RsaPrivateKey::parse_pkcs8(test_key().pkcs8());
  ASSERT_THAT(copy, IsOk());
  EXPECT_EQ(copy->public_key().spki(), test_key().public_key().spki());
  const auto sealed = copy->public_key().encrypt_oaep_sha256(Bytes(190, 7));
  ASSERT_THAT(sealed, IsOk());
  EXPECT_THAT(copy->public_key().encrypt_oaep_sha256(Bytes(191, 7)), IsError(ErrorCode::kLimit));
  const auto opened = test_key().decrypt_oaep_sha256(*sealed);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(to_bytes(opened->expose()), Bytes(190, 7));
  EXPECT_THAT(test_key().decrypt_oaep_sha256(ByteView(*sealed).first(255)), IsError(ErrorCode::kUntrusted));
}

}  // namespace
}  // namespace casemate::crypto
