// SPDX-License-Identifier: Apache-2.0
#include "crypto/cms.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
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

// An OpenSSL key for what the tree's own key does not do.
class OpensslKey {
 public:
  explicit OpensslKey(ByteView spki) {
    const unsigned char* at = spki.data();
    key_ = d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size()));
  }
  ~OpensslKey() { EVP_PKEY_free(key_); }
  OpensslKey(const OpensslKey&) = delete;
  OpensslKey& operator=(const OpensslKey&) = delete;
  Bytes encrypt_oaep_sha1(ByteView content) const {
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key_, nullptr);
    Bytes out(512);
    std::size_t size = out.size();
    const bool done = EVP_PKEY_encrypt_init(context) == 1 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                      EVP_PKEY_encrypt(context, out.data(), &size, content.data(), content.size()) == 1;
    EVP_PKEY_CTX_free(context);
    out.resize(done ? size : 0);
    return out;
  }

 private:
  EVP_PKEY* key_ = nullptr;
};

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

constexpr char kRefused[] = "enveloped data: not for this key, or damaged";
// Where things are in an envelope for RSA-2048.
constexpr std::size_t kSetAt = 20;
constexpr std::size_t kRecipientAt = kSetAt + 4;
constexpr std::size_t kRecipientSize = 4 + 0x167;
constexpr std::size_t kEncryptedKeySize = 256;

TEST(Cms, RefusesDer) {
  SystemRng rng;
  EXPECT_THAT(open_enveloped_data(definite_form(envelope_of("value")), test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
}

TEST(Cms, RefusesASecondRecipient) {
  SystemRng rng;
  const Bytes envelope = envelope_of("secret");
  const ByteView recipient = ByteView(envelope).subspan(kRecipientAt, kRecipientSize);
  Bytes twice = to_bytes(recipient);
  append(twice, recipient);
  Bytes forged = to_bytes(ByteView(envelope).first(kSetAt));
  append(forged, element(0x31, twice));
  append(forged, ByteView(envelope).subspan(kRecipientAt + kRecipientSize));
  EXPECT_THAT(open_enveloped_data(forged, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
  Bytes none = to_bytes(ByteView(envelope).first(kSetAt));
  append(none, element(0x31, {}));
  append(none, ByteView(envelope).subspan(kRecipientAt + kRecipientSize));
  EXPECT_THAT(open_enveloped_data(none, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
}

TEST(Cms, RefusesAnotherKeysEnvelopeUnderThisKeysName) {
  SystemRng rng;
  const auto other = RsaPrivateKey::generate(2048).take();
  Bytes forged = encode_enveloped_data(other.public_key(), Secret::copy_of(as_bytes(std::string_view("secret"))), rng).take();
  EXPECT_THAT(open_enveloped_data(forged, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
  const auto name = sha256(test_key().public_key().spki());
  std::copy(name.begin(), name.end(), forged.begin() + 33);
  EXPECT_THAT(open_enveloped_data(forged, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
}

TEST(Cms, RefusesAnotherOaepHash) {
  SystemRng rng;
  const OpensslKey key(test_key().public_key().spki());
  Bytes forged = envelope_of("secret");
  const Bytes sealed = key.encrypt_oaep_sha1(Bytes(32, 7));
  ASSERT_EQ(sealed.size(), kEncryptedKeySize);
  // The bytes alone, then with the algorithm identifier of OAEP's defaults, which are SHA-1.
  std::copy(sealed.begin(), sealed.end(), forged.begin() + static_cast<std::ptrdiff_t>(kRecipientAt + kRecipientSize - kEncryptedKeySize));
  EXPECT_THAT(open_enveloped_data(forged, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
  Bytes recipient = decode_hex("020102").take();
  append(recipient, element(0x80, sha256(test_key().public_key().spki())));
  append(recipient, decode_hex("300d06092a864886f70d0101073000").take());
  append(recipient, element(0x04, sealed));
  Bytes renamed = to_bytes(ByteView(forged).first(kSetAt));
  append(renamed, element(0x31, element(0x30, recipient)));
  append(renamed, ByteView(forged).subspan(kRecipientAt + kRecipientSize));
  EXPECT_THAT(open_enveloped_data(renamed, test_key(), rng), IsError(ErrorCode::kUntrusted, kRefused));
}

// What a padding oracle would ask: every value of the byte that decides the padding's length.
TEST(Cms, AnswersEveryPaddingAlike) {
  SystemRng rng;
  const Bytes envelope = envelope_of(std::string(20, 's'));
  const std::size_t last_of_first_block = envelope.size() - 10 - 16 - 1;
  std::size_t opened = 0;
  for (unsigned value = 1; value < 256; ++value) {
    Bytes changed = envelope;
    changed[last_of_first_block] = static_cast<std::uint8_t>(changed[last_of_first_block] ^ value);
    const auto outcome = open_enveloped_data(changed, test_key(), rng);
    if (outcome.ok()) {
      ++opened;
    } else {
      EXPECT_EQ(outcome.error().message(), kRefused);
    }
  }
  // CBC has no authentication: at most the paddings that happen to be well formed.
  EXPECT_LE(opened, 2U);
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

// What is not DER in full goes OpenSSL's way, with the same key as the result.
TEST(RsaPublicKey, ReadsFormsThatOnlyOpensslKnows) {
  const Bytes spki = test_key().public_key().spki();
  // The outer length with a byte more than it needs.
  Bytes longer{0x30, 0x83, 0x00};
  append(longer, ByteView(spki).subspan(2));
  const auto key = RsaPublicKey::parse_spki(longer);
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->spki(), spki);
  EXPECT_EQ(RsaPublicKey::parse_spki(spki)->spki(), spki);
  for (std::size_t i = 0; i < 40; ++i) {
    Bytes changed = spki;
    changed[i] ^= 0x01;
    const unsigned char* next = changed.data();
    EVP_PKEY* reference = d2i_PUBKEY(nullptr, &next, static_cast<long>(changed.size()));
    if (reference == nullptr) {
      EXPECT_FALSE(RsaPublicKey::parse_spki(changed).ok()) << i;
    }
    EVP_PKEY_free(reference);
  }
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
