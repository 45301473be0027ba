// SPDX-License-Identifier: Apache-2.0
// Grants, their tokens, and what is remembered of the use of keys.
#include <algorithm>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "kms/keyring.h"
#include "kms/state.h"

namespace casemate::kms {
namespace {

constexpr std::uint8_t kTokenVersion = 1;
constexpr std::size_t kGrantIdBytes = 32;
constexpr std::size_t kTokenSalt = 16;
constexpr std::size_t kTokenMac = 32;

bool same_content(const Grant& grant, const GrantDraft& draft) {
  return grant.name == draft.name && grant.grantee == draft.grantee && grant.retiring == draft.retiring &&
         grant.operations == draft.operations && grant.constraints == draft.constraints;
}

}  // namespace

Outcome<Grant> Keyring::create_grant(const KeyRecord& record, const GrantDraft& draft) {
  Grant grant;
  std::array<std::uint8_t, kGrantIdBytes> id;
  rng_.fill(id);
  grant.id = encode_hex(id);
  grant.name = draft.name;
  grant.grantee = draft.grantee;
  grant.retiring = draft.retiring;
  grant.issuing_account = record.key.realm.account;
  grant.operations = draft.operations;
  grant.constraints = draft.constraints;
  grant.created = clock_.now();
  TRY(change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kCreateGrant, key.state, record.arn));
    const auto grants = TRY(writer.list_grants(record.name()));
    if (!draft.name.empty()) {
      const auto same = std::find_if(grants.begin(), grants.end(),
                                     [&](const Grant& existing) { return same_content(existing, draft); });
      if (same != grants.end()) {
        grant = *same;
        return {};
      }
    }
    if (grants.size() >= options_.grants_per_key) {
      return fault(FaultKind::kLimitExceeded,
                   fmt::format("The key {} has {} grants, which is the most.", record.arn, options_.grants_per_key));
    }
    TRY(writer.insert_grant(record.name(), grant));
    return {};
  }));
  return grant;
}

Outcome<void> Keyring::remove_grant(const KeyRecord& record, std::string_view grant_id) {
  return change_key(record, [&](StoreWriter& writer, Key&) -> Outcome<void> {
    const auto found = TRY(writer.find_grant(grant_id));
    if (!found || found->key != record.name())
      return fault(FaultKind::kNotFound, fmt::format("Grant ID {} not found", grant_id));
    TRY(writer.remove_grant(grant_id));
    return {};
  });
}

std::string Keyring::make_grant_token(std::string_view grant_id) {
  Bytes token{kTokenVersion};
  append(token, decode_hex(grant_id).take());
  std::array<std::uint8_t, kTokenSalt> salt;
  rng_.fill(salt);
  append(token, salt);
  append(token, crypto::hmac(crypto::Hash::kSha256, token_key_.expose(), token));
  return encode_base64(token);
}

std::optional<std::string> Keyring::read_grant_token(std::string_view token) const {
  const auto bytes = decode_base64(token);
  if (!bytes.ok() || bytes->size() != 1 + kGrantIdBytes + kTokenSalt + kTokenMac || bytes->front() != kTokenVersion)
    return std::nullopt;
  const ByteView all = *bytes;
  const ByteView content = all.first(all.size() - kTokenMac);
  const Bytes mac = crypto::hmac(crypto::Hash::kSha256, token_key_.expose(), content);
  if (!equal_constant_time(mac, all.last(kTokenMac))) return std::nullopt;
  return encode_hex(content.subspan(1, kGrantIdBytes));
}

void Keyring::note_use(const KeyName& name, LastUse use) {
  const std::string slot = name.realm.account + '/' + name.realm.region + '/' + name.id;
  const std::lock_guard lock(uses_mutex_);
  uses_[slot] = {name, std::move(use)};
}

Outcome<std::optional<LastUse>> Keyring::find_last_use(const KeyName& name) {
  {
    const std::string slot = name.realm.account + '/' + name.realm.region + '/' + name.id;
    const std::lock_guard lock(uses_mutex_);
    if (const auto found = uses_.find(slot); found != uses_.end()) return std::optional<LastUse>(found->second.second);
  }
  return TRY(store_.reader()->find_last_use(name));
}

Result<void> Keyring::flush_uses() {
  std::unordered_map<std::string, std::pair<KeyName, LastUse>> uses;
  {
    const std::lock_guard lock(uses_mutex_);
    uses.swap(uses_);
  }
  if (uses.empty()) return {};
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    for (const auto& [slot, use] : uses) {
      const auto set = writer.set_last_use(use.first, use.second);
      // The key may have been deleted meanwhile.
      if (!set.ok() && set.error().code() != ErrorCode::kNotFound) return set.error();
    }
    return {};
  });
  if (written.ok()) return {};
  const std::lock_guard lock(uses_mutex_);
  for (auto& [slot, use] : uses) uses_.try_emplace(slot, std::move(use));
  return written;
}

}  // namespace casemate::kms
