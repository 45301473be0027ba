// SPDX-License-Identifier: Apache-2.0
#include "kms/algorithms.h"

#include <algorithm>

#include "base/clock.h"

namespace casemate::kms {
namespace {

using crypto::EncryptionScheme;
using crypto::Hash;
using crypto::KeyKind;
using crypto::SignatureScheme;
using std::string_view;

constexpr std::pair<KeySpec, KeyKind> kKinds[] = {
    {KeySpec::kRsa2048, KeyKind::kRsa2048},
    {KeySpec::kRsa3072, KeyKind::kRsa3072},
    {KeySpec::kRsa4096, KeyKind::kRsa4096},
    {KeySpec::kEccNistP256, KeyKind::kP256},
    {KeySpec::kEccNistP384, KeyKind::kP384},
    {KeySpec::kEccNistP521, KeyKind::kP521},
    {KeySpec::kEccSecgP256k1, KeyKind::kSecp256k1},
    {KeySpec::kEccNistEdwards25519, KeyKind::kEd25519},
    {KeySpec::kSm2, KeyKind::kSm2},
};
constexpr std::pair<KeySpec, std::size_t> kLengths[] = {{KeySpec::kSymmetricDefault, 32},
                                                        {KeySpec::kHmac224, 28},
                                                        {KeySpec::kHmac256, 32},
                                                        {KeySpec::kHmac384, 48},
                                                        {KeySpec::kHmac512, 64}};
constexpr std::pair<string_view, SignatureScheme> kSignatures[] = {
    {"RSASSA_PKCS1_V1_5_SHA_256", SignatureScheme::kPkcs1Sha256},
    {"RSASSA_PKCS1_V1_5_SHA_384", SignatureScheme::kPkcs1Sha384},
    {"RSASSA_PKCS1_V1_5_SHA_512", SignatureScheme::kPkcs1Sha512},
    {"RSASSA_PSS_SHA_256", SignatureScheme::kPssSha256},
    {"RSASSA_PSS_SHA_384", SignatureScheme::kPssSha384},
    {"RSASSA_PSS_SHA_512", SignatureScheme::kPssSha512},
    {"ECDSA_SHA_256", SignatureScheme::kEcdsaSha256},
    {"ECDSA_SHA_384", SignatureScheme::kEcdsaSha384},
    {"ECDSA_SHA_512", SignatureScheme::kEcdsaSha512},
    {"ED25519_SHA_512", SignatureScheme::kEd25519},
    {"SM2DSA", SignatureScheme::kSm2},
};
constexpr std::pair<string_view, EncryptionScheme> kEncryptions[] = {
    {"RSAES_OAEP_SHA_1", EncryptionScheme::kOaepSha1},
    {"RSAES_OAEP_SHA_256", EncryptionScheme::kOaepSha256},
    {"SM2PKE", EncryptionScheme::kSm2},
};
constexpr std::pair<string_view, Hash> kMacs[] = {{"HMAC_SHA_224", Hash::kSha224},
                                                  {"HMAC_SHA_256", Hash::kSha256},
                                                  {"HMAC_SHA_384", Hash::kSha384},
                                                  {"HMAC_SHA_512", Hash::kSha512}};

template <typename Key, typename Value, std::size_t N, typename Wanted>
std::optional<Value> look_up(const std::pair<Key, Value> (&table)[N], const Wanted& wanted) {
  const auto it =
      std::find_if(std::begin(table), std::end(table), [&](const auto& row) { return row.first == wanted; });
  if (it == std::end(table)) return std::nullopt;
  return it->second;
}

}  // namespace

std::optional<KeyKind> key_kind(KeySpec spec) {
  return look_up(kKinds, spec);
}
std::size_t secret_length(KeySpec spec) {
  return look_up(kLengths, spec).value_or(0);
}
bool is_available(KeySpec spec) {
  return key_kind(spec).has_value() || secret_length(spec) != 0;
}
std::optional<SignatureScheme> signature_scheme(string_view name) {
  return look_up(kSignatures, name);
}
std::optional<EncryptionScheme> encryption_scheme(string_view name) {
  return look_up(kEncryptions, name);
}
std::optional<Hash> mac_hash(string_view name) {
  return look_up(kMacs, name);
}

Result<Secret> make_secret(KeySpec spec, Rng& rng) {
  CASEMATE_CHECK(is_available(spec));
  if (const auto kind = key_kind(spec)) return TRY(crypto::PrivateKey::generate(*kind)).pkcs8();
  Secret secret = Secret::of_size(secret_length(spec));
  rng.fill(secret.expose_mutable());
  return secret;
}

}  // namespace casemate::kms
