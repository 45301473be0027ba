// SPDX-License-Identifier: Apache-2.0
#include "kms/import_token.h"

#include <algorithm>

#include "crypto/aes_gcm.h"
#include "crypto/key_wrap.h"

namespace casemate::kms {
namespace {

using crypto::EncryptionScheme;
using crypto::KeyKind;

constexpr std::string_view kContext = "casemate import token 1";

struct Wrapping {
  std::string_view name;
  EncryptionScheme scheme;
  bool key_wrap;  // an AES key under RSA, the material under that
};
constexpr Wrapping kWrappings[] = {
    {"RSAES_PKCS1_V1_5", EncryptionScheme::kPkcs1, false},
    {"RSAES_OAEP_SHA_1", EncryptionScheme::kOaepSha1, false},
    {"RSAES_OAEP_SHA_256", EncryptionScheme::kOaepSha256, false},
    {"RSA_AES_KEY_WRAP_SHA_1", EncryptionScheme::kOaepSha1, true},
    {"RSA_AES_KEY_WRAP_SHA_256", EncryptionScheme::kOaepSha256, true},
    {"SM2PKE", EncryptionScheme::kSm2, false},
};
struct Spec {
  std::string_view name;
  KeyKind kind;
  std::size_t modulus_bytes;
};
constexpr Spec kSpecs[] = {{"RSA_2048", KeyKind::kRsa2048, 256},
                           {"RSA_3072", KeyKind::kRsa3072, 384},
                           {"RSA_4096", KeyKind::kRsa4096, 512},
                           {"SM2", KeyKind::kSm2, 0}};

template <typename Row, std::size_t N>
const Row* find_named(const Row (&rows)[N], std::string_view name) {
  const auto it = std::find_if(std::begin(rows), std::end(rows), [&](const Row& row) { return row.name == name; });
  return it == std::end(rows) ? nullptr : &*it;
}

const Spec& spec_of(KeyKind kind) {
  const auto it = std::find_if(std::begin(kSpecs), std::end(kSpecs), [&](const Spec& s) { return s.kind == kind; });
  CASEMATE_CHECK(it != std::end(kSpecs));
  return *it;
}

void append_text(Bytes& out, std::string_view text) {
  append_be<2>(out, text.size());
  append(out, as_bytes(text));
}

Result<std::string> read_text(ByteReader& reader) {
  const std::uint16_t size = TRY(reader.read_u16());
  return std::string(as_text(TRY(reader.read(size))));
}

Result<ImportToken> parse_token(const Secret& content) {
  ByteReader reader(content.expose());
  std::string arn = TRY(read_text(reader));
  std::string algorithm = TRY(read_text(reader));
  const std::string spec_name = TRY(read_text(reader));
  const WallTime expires{std::chrono::milliseconds{static_cast<std::int64_t>(TRY(reader.read_u64()))}};
  const Spec* spec = find_named(kSpecs, spec_name);
  if (spec == nullptr || find_named(kWrappings, algorithm) == nullptr) return untrusted("import token: content");
  auto pair = TRY(crypto::PrivateKey::parse_pkcs8(spec->kind, Secret::copy_of(reader.rest())));
  return ImportToken{std::move(arn), std::move(algorithm), expires, std::move(pair)};
}

}  // namespace

std::optional<KeyKind> wrapping_kind(std::string_view algorithm, std::string_view key_spec) {
  const Wrapping* wrapping = find_named(kWrappings, algorithm);
  const Spec* spec = find_named(kSpecs, key_spec);
  if (wrapping == nullptr || spec == nullptr) return std::nullopt;
  if ((wrapping->scheme == EncryptionScheme::kSm2) != (spec->kind == KeyKind::kSm2)) return std::nullopt;
  return spec->kind;
}

Bytes seal_import_token(const RootKey& root, const ImportToken& token, Rng& rng) {
  Bytes content;
  append_text(content, token.key_arn);
  append_text(content, token.algorithm);
  append_text(content, spec_of(token.pair.kind()).name);
  append_be<8>(content, static_cast<std::uint64_t>(token.expires.time_since_epoch().count()));
  append(content, token.pair.pkcs8().expose());
  const Secret owned(std::move(content));
  Bytes out(crypto::kGcmNonceSize);
  rng.fill(out);
  const Bytes sealed =
      crypto::seal_aes_256_gcm(root.derive("import tokens").expose(), out, as_bytes(kContext), owned.expose());
  append(out, sealed);
  return out;
}

Result<ImportToken> open_import_token(const RootKey& root, ByteView token) {
  if (token.size() < crypto::kGcmNonceSize) return untrusted("import token: {} bytes", token.size());
  const Secret content =
      TRY(crypto::open_aes_256_gcm(root.derive("import tokens").expose(), token.first(crypto::kGcmNonceSize),
                                   as_bytes(kContext), token.subspan(crypto::kGcmNonceSize)));
  return parse_token(content);
}

Result<Secret> unwrap_import(const ImportToken& token, ByteView encrypted) {
  const Wrapping* wrapping = find_named(kWrappings, token.algorithm);
  CASEMATE_CHECK(wrapping != nullptr);
  if (!wrapping->key_wrap) return token.pair.decrypt(wrapping->scheme, encrypted);
  const std::size_t modulus = spec_of(token.pair.kind()).modulus_bytes;
  if (encrypted.size() <= modulus) return untrusted("key material: too short");
  const Secret key = TRY(token.pair.decrypt(wrapping->scheme, encrypted.first(modulus)));
  if (key.size() != crypto::kAes256KeySize) return untrusted("key material: wrapping key of {} bytes", key.size());
  return crypto::unwrap_key_padded(key.expose(), encrypted.subspan(modulus));
}

}  // namespace casemate::kms
