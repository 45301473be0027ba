// SPDX-License-Identifier: Apache-2.0
#include "identity/token.h"


#include "base/encoding.h"
#include "crypto/aes_gcm.h"
#include "crypto/digest.h"
#include "identity/model.h"
#include "json/value.h"

namespace casemate::identity {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kAssociated = "casemate session token 2";
constexpr std::uint8_t kTokenVersion = 2;
constexpr std::size_t kLongestToken = 64 * 1024;

std::string base32(ByteView bytes, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += kBase32[bytes[i] & 31];
  return out;
}

Error refused() {
  return untrusted("session token: not one of ours");
}

Result<std::vector<std::string>> read_texts(const json::Value& value, std::string_view name) {
  const json::Value* list = value.find(name);
  if (list == nullptr || list->if_array() == nullptr) return refused();
  std::vector<std::string> out;
  for (const json::Value& item : list->array()) {
    if (item.if_string() == nullptr) return refused();
    out.push_back(*item.if_string());
  }
  return out;
}

Result<Session> read_session(std::string_view text) {
  const json::Value value = TRY(json::parse(text));
  const auto string = [&value](std::string_view name) -> Result<std::string> {
    const std::string* member = value.string_at(name);
    if (member == nullptr) return refused();
    return *member;
  };
  const std::int64_t* issued = value.int_at("issued");
  const std::int64_t* expires = value.int_at("expires");
  const json::Value* tags = value.find("tags");
  if (issued == nullptr || expires == nullptr || tags == nullptr || tags->if_object() == nullptr) return refused();
  Session session;
  session.access_key_id = TRY(string("id"));
  session.secret_access_key = Secret::copy_of(as_bytes(TRY(string("secret"))));
  session.arn = TRY(string("arn"));
  session.entity_id = TRY(string("entity"));
  session.session_name = TRY(string("name"));
  session.source_identity = TRY(string("source"));
  // Tokens of before there were federated users do not have it.
  if (value.find("federated") != nullptr) session.federated_name = TRY(string("federated"));
  session.issued = WallTime{std::chrono::milliseconds{*issued}};
  session.expires = WallTime{std::chrono::milliseconds{*expires}};
  session.policies = TRY(read_texts(value, "policies"));
  session.policy_arns = TRY(read_texts(value, "arns"));
  session.transitive_tag_keys = TRY(read_texts(value, "transitive"));
  for (const auto& [key, member] : tags->object()) {
    if (member.if_string() == nullptr) return refused();
    session.tags.emplace_back(key, *member.if_string());
  }
  return session;
}

// Eight digits of base 32 hold the 40 bits of an account's number.
std::string account_digits(std::string_view account) {
  std::uint64_t number = 0;
  for (const char c : account) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  std::string out(8, 'A');
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, number >>= 5) *digit = kBase32[number & 31];
  return out;
}

}  // namespace

TokenSealer::TokenSealer(Secret key) : key_(std::move(key)) {
  CASEMATE_CHECK(key_.size() == crypto::kAes256KeySize);
}

std::string TokenSealer::seal_text(std::string_view associated, const Secret& plain, Rng& rng) const {
  Bytes out(1 + crypto::kGcmNonceSize);
  out[0] = kTokenVersion;
  rng.fill(std::span(out).subspan(1));
  const ByteView nonce = ByteView(out).subspan(1);
  append(out, crypto::seal_aes_256_gcm(key_.expose(), to_bytes(nonce), as_bytes(associated), plain.expose()));
  return encode_base64(out);
}

Result<Secret> TokenSealer::open_text(std::string_view associated, std::string_view text) const {
  if (text.size() > kLongestToken) return refused();
  const auto bytes = decode_base64(text);
  if (!bytes.ok() || bytes->size() < 1 + crypto::kGcmNonceSize || bytes->front() != kTokenVersion) return refused();
  const ByteView sealed = ByteView(*bytes).subspan(1);
  auto plain = crypto::open_aes_256_gcm(key_.expose(), sealed.first(crypto::kGcmNonceSize), as_bytes(associated),
                                        sealed.subspan(crypto::kGcmNonceSize));
  if (!plain.ok()) return refused();
  return plain;
}

std::string TokenSealer::seal(const Session& session, Rng& rng) const {
  json::Object tags;
  for (const auto& [key, value] : session.tags) tags.set(key, value);
  const auto list = [](const std::vector<std::string>& texts) { return json::Array(texts.begin(), texts.end()); };
  const Secret plain = Secret::copy_of(
      as_bytes(json::encode(json::Object{{"id", session.access_key_id},
                                         {"secret", as_text(session.secret_access_key.expose())},
                                         {"arn", session.arn},
                                         {"entity", session.entity_id},
                                         {"name", session.session_name},
                                         {"federated", session.federated_name},
                                         {"policies", list(session.policies)},
                                         {"arns", list(session.policy_arns)},
                                         {"tags", std::move(tags)},
                                         {"transitive", list(session.transitive_tag_keys)},
                                         {"source", session.source_identity},
                                         {"issued", to_milliseconds(session.issued)},
                                         {"expires", to_milliseconds(session.expires)}})));
  return seal_text(kAssociated, plain, rng);
}

Result<Session> TokenSealer::open(std::string_view token) const {
  const Secret plain = TRY(open_text(kAssociated, token));
  return read_session(as_text(plain.expose()));
}

std::string TokenSealer::seal_secret(std::string_view access_key_id, const Secret& secret, Rng& rng) const {
  return seal_text(fmt::format("casemate access key {}", access_key_id), secret, rng);
}

Result<Secret> TokenSealer::open_secret(std::string_view access_key_id, std::string_view sealed) const {
  return open_text(fmt::format("casemate access key {}", access_key_id), sealed);
}

std::string make_access_key_id(std::string_view prefix, std::string_view account, Rng& rng) {
  std::array<std::uint8_t, 8> bytes;
  rng.fill(bytes);
  return std::string(prefix) + account_digits(account) + base32(bytes, bytes.size());
}

std::optional<std::string> account_of_key(std::string_view access_key_id) {
  if (access_key_id.size() != 20 || (!access_key_id.starts_with("AKIA") && !access_key_id.starts_with("ASIA")))
    return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : access_key_id.substr(4, 8)) {
    const std::size_t digit = kBase32.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    number = number << 5 | digit;
  }
  if (number > 999'999'999'999U) return std::nullopt;
  return fmt::format("{:012}", number);
}

Secret make_secret_access_key(Rng& rng) {
  Secret bytes = Secret::of_size(30);
  rng.fill(bytes.expose_mutable());
  return Secret::copy_of(as_bytes(encode_base64(bytes.expose())));
}

std::string make_unique_id(std::string_view prefix, std::string_view name) {
  return std::string(prefix) + base32(crypto::sha256(as_bytes(name)), 17);
}

std::string make_random_id(std::string_view prefix, Rng& rng) {
  std::array<std::uint8_t, 17> bytes;
  rng.fill(bytes);
  return std::string(prefix) + base32(bytes, bytes.size());
}

}  // namespace casemate::identity
