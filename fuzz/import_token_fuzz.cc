// SPDX-License-Identifier: Apache-2.0
// What ImportKeyMaterial gets: import tokens and wrapped material, raw and as edits of genuine ones. Only the genuine
// ones open.
#include "crypto/rng.h"
#include "fuzz/edits.h"
#include "kms/import_token.h"

using namespace casemate;
using namespace casemate::kms;

namespace {

struct Genuine {
  RootKey root = RootKey::from(Secret::copy_of(Bytes(32, 1))).take();
  crypto::PrivateKey pair = crypto::PrivateKey::generate(crypto::KeyKind::kRsa2048).take();
  Bytes token;
  Bytes material = pair.public_key().encrypt(crypto::EncryptionScheme::kOaepSha256, Bytes(32, 2)).take();

  Genuine() {
    crypto::SystemRng rng;
    token = seal_import_token(root, named("RSAES_OAEP_SHA_256"), rng);
  }
  ImportToken named(std::string algorithm) const {
    return {"arn:aws:kms:us-east-1:111122223333:key/1", std::move(algorithm), WallTime{std::chrono::hours{1}}, pair};
  }
};

void check_token(const Genuine& genuine, ByteView token) {
  CASEMATE_CHECK(open_import_token(genuine.root, token).ok() == equal(token, genuine.token));
}

void check_material(const Genuine& genuine, ByteView encrypted) {
  CASEMATE_CHECK(unwrap_import(genuine.named("RSAES_OAEP_SHA_256"), encrypted).ok() == equal(encrypted, genuine.material));
  // The material's key, taken for a wrapping key, unwraps nothing.
  CASEMATE_CHECK(!unwrap_import(genuine.named("RSA_AES_KEY_WRAP_SHA_256"), encrypted).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Genuine genuine;
  const ByteView input(data, size);
  check_token(genuine, input);
  check_token(genuine, fuzz::apply_edits(genuine.token, input));
  // A decryption costs a millisecond: for short inputs only, which are as good.
  if (size > 64) return 0;
  check_material(genuine, input);
  check_material(genuine, fuzz::apply_edits(genuine.material, input));
  return 0;
}
