// SPDX-License-Identifier: Apache-2.0
#include "sts/token.h"

#include "base/encoding.h"
#include "crypto/aes_gcm.h"
#include "crypto/digest.h"
#include "json/value.h"

namespace casemate::sts {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kAssociated = "casemate session token 1";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kLongestToken = 64 * 1024;

std::string base32(ByteView bytes, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += kBase32[bytes[i] & 31];
  return out;
}

json::Value milliseconds(WallTime time) {
  return std::int64_t{time.time_since_epoch().count()};
}

Error refused() {
  return untrusted("session token: not one of ours");
}

Result<Session> read_session(std::string_view text) {
  const json::Value value = TRY(json::parse(text));
  const std::string* id = value.string_at("id");
  const std::string* secret = value.string_at("secret");
  const std::string* role = value.string_at("role");
  const std::string* name = value.string_at("name");
  const std::int64_t* issued = value.int_at("issued");
  const std::int64_t* expires = value.int_at("expires");
  const json::Value* policies = value.find("policies");
  if (id == nullptr || secret == nullptr || role == nullptr || name == nullptr || issued == nullptr ||
      expires == nullptr || policies == nullptr || policies->if_array() == nullptr) {
    return refused();
  }
  Session session;
  session.access_key_id = *id;
  session.secret_access_key = Secret::copy_of(as_bytes(*secret));
  session.role_arn = *role;
  session.session_name = *name;
  session.issued = WallTime{std::chrono::milliseconds{*issued}};
  session.expires = WallTime{std::chrono::milliseconds{*expires}};
  for (const json::Value& policy : policies->array()) {
    if (policy.if_string() == nullptr) return refused();
    session.policies.push_back(*policy.if_string());
  }
  return session;
}

}  // namespace

TokenSealer::TokenSealer(Secret key) : key_(std::move(key)) {
  CASEMATE_CHECK(key_.size() == crypto::kAes256KeySize);
}

std::string TokenSealer::seal(const Session& session, Rng& rng) const {
  const Secret plain = Secret::copy_of(
      as_bytes(json::encode(json::Object{{"id", session.access_key_id},
                                         {"secret", as_text(session.secret_access_key.expose())},
                                         {"role", session.role_arn},
                                         {"name", session.session_name},
                                         {"policies", json::Array(session.policies.begin(), session.policies.end())},
                                         {"issued", milliseconds(session.issued)},
                                         {"expires", milliseconds(session.expires)}})));
  Bytes out(1 + crypto::kGcmNonceSize);
  out[0] = kVersion;
  rng.fill(std::span(out).subspan(1));
  const ByteView nonce = ByteView(out).subspan(1);
  append(out, crypto::seal_aes_256_gcm(key_.expose(), to_bytes(nonce), as_bytes(kAssociated), plain.expose()));
  return encode_base64(out);
}

Result<Session> TokenSealer::open(std::string_view token) const {
  if (token.size() > kLongestToken) return refused();
  const auto bytes = decode_base64(token);
  if (!bytes.ok() || bytes->size() < 1 + crypto::kGcmNonceSize || bytes->front() != kVersion) return refused();
  const ByteView sealed = ByteView(*bytes).subspan(1);
  const auto plain = crypto::open_aes_256_gcm(key_.expose(), sealed.first(crypto::kGcmNonceSize), as_bytes(kAssociated),
                                              sealed.subspan(crypto::kGcmNonceSize));
  if (!plain.ok()) return refused();
  return read_session(as_text(plain->expose()));
}

std::string make_access_key_id(std::string_view prefix, Rng& rng) {
  std::array<std::uint8_t, 16> bytes;
  rng.fill(bytes);
  return std::string(prefix) + base32(bytes, bytes.size());
}

Secret make_secret_access_key(Rng& rng) {
  Secret bytes = Secret::of_size(30);
  rng.fill(bytes.expose_mutable());
  return Secret::copy_of(as_bytes(encode_base64(bytes.expose())));
}

std::string make_unique_id(std::string_view prefix, std::string_view name) {
  return std::string(prefix) + base32(crypto::sha256(as_bytes(name)), 17);
}

}  // namespace casemate::sts
