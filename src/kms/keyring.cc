// SPDX-License-Identifier: Apache-2.0
#include "kms/keyring.h"

#include <algorithm>

#include "kms/algorithms.h"
#include "kms/state.h"

namespace casemate::kms {
namespace {

constexpr std::size_t kAliasesPerKey = 1000;

std::string slot_key(const KeyName& name) {
  return name.realm.account + '/' + name.realm.region + '/' + name.id;
}

std::string alias_key(const Realm& realm, std::string_view alias) {
  return fmt::format("{}/{}/{}", realm.account, realm.region, alias);
}

std::string material_key(const Realm& realm, const MaterialId& id) {
  return fmt::format("{}/{}/{}", realm.account, realm.region, as_text(id));
}

KeyReference reference_to(const KeyName& name) {
  return {KeyReference::Kind::kKey, name.realm, name.id};
}

bool is_due(const Key& key, WallTime now) {
  return key.state == KeyState::kPendingDeletion && key.deletion_date && *key.deletion_date <= now;
}

Result<UsableMaterial> usable(KeySpec spec, const MaterialId& id, std::uint32_t version, Secret secret) {
  UsableMaterial out{id, version, {}, {}};
  if (const auto kind = key_kind(spec)) {
    out.pair = TRY(crypto::PrivateKey::parse_pkcs8(*kind, secret));
  } else {
    out.secret = std::move(secret);
  }
  return out;
}

}  // namespace

const UsableMaterial* KeyRecord::find_material(const MaterialId& id) const {
  const auto it = std::find_if(materials.begin(), materials.end(), [&](const UsableMaterial& m) { return m.id == id; });
  return it == materials.end() ? nullptr : &*it;
}

const UsableMaterial* KeyRecord::current_material() const {
  return key.current_material ? find_material(*key.current_material) : nullptr;
}

Keyring::Keyring(Store& store, const RootKey& root, const Clock& clock, Rng& rng, Options options)
    : store_(store), root_(root), clock_(clock), rng_(rng), options_(options) {}

KeyRecordPtr Keyring::cached(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  slots_.splice(slots_.begin(), slots_, found->second);
  return found->second->record;
}

void Keyring::drop(Slots::iterator slot) {
  const KeyRecord& record = *slot->record;
  for (const std::string& alias : record.aliases) by_alias_.erase(alias_key(record.key.realm, alias));
  for (const UsableMaterial& material : record.materials)
    by_material_.erase(material_key(record.key.realm, material.id));
  by_name_.erase(slot_key(slot->name));
  slots_.erase(slot);
}

void Keyring::keep(const KeyRecordPtr& record, std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_ || by_name_.contains(slot_key(record->name()))) return;
  slots_.push_front({record->name(), record});
  by_name_[slot_key(record->name())] = slots_.begin();
  for (const std::string& alias : record->aliases) by_alias_[alias_key(record->key.realm, alias)] = record->name();
  for (const UsableMaterial& material : record->materials) {
    by_material_[material_key(record->key.realm, material.id)] = record->name();
  }
  while (slots_.size() > options_.cached_keys) drop(std::prev(slots_.end()));
}

void Keyring::forget(const KeyName& name) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  if (const auto found = by_name_.find(slot_key(name)); found != by_name_.end()) drop(found->second);
}

Result<KeyRecordPtr> Keyring::load(const KeyName& name) {
  auto key = TRY(store_.find_key(name));
  if (!key) return KeyRecordPtr{};
  auto record = std::make_shared<KeyRecord>();
  record->arn = key_arn(name.realm, name.id);
  record->key = std::move(*key);
  // Limits were applied when the policy was stored; a stored one must not become unreadable by tighter ones.
  record->policy = {record->arn,
                    TRY(iam::parse_policy(record->key.policy, iam::PolicyType::kResource).in(record->arn))};
  for (Material& material : TRY(store_.list_materials(name))) {
    Secret secret =
        TRY(root_.unwrap_material(record->arn, material.id, material.version, material.wrapped).in(record->arn));
    record->materials.push_back(
        TRY(usable(record->key.spec, material.id, material.version, std::move(secret)).in(record->arn)));
  }
  for (Alias& alias : TRY(store_.list_aliases_of(name, {}, kAliasesPerKey)))
    record->aliases.push_back(std::move(alias.name));
  record->tags = TRY(store_.list_tags(name));
  return KeyRecordPtr(std::move(record));
}

Outcome<KeyRecordPtr> Keyring::find_record(const KeyName& name) {
  std::uint64_t generation = 0;
  KeyRecordPtr record;
  {
    const std::lock_guard lock(mutex_);
    generation = generation_;
    record = cached(slot_key(name));
  }
  if (record == nullptr) {
    record = TRY(load(name));
    if (record != nullptr) keep(record, generation);
  }
  // A key past its waiting period is gone, whether or not delete_due has come round.
  if (record != nullptr && is_due(record->key, clock_.now())) return KeyRecordPtr{};
  return record;
}

Outcome<Located> Keyring::locate(const KeyReference& reference) {
  KeyName name{reference.realm, reference.name};
  if (reference.kind == KeyReference::Kind::kAlias) {
    name.id.clear();
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = by_alias_.find(alias_key(reference.realm, reference.name)); found != by_alias_.end()) {
        name = found->second;
      }
    }
    if (name.id.empty()) {
      const auto alias = TRY(store_.find_alias(reference.realm, reference.name));
      if (!alias) return key_not_found(reference);
      name.id = alias->key_id;
    }
  }
  Located located;
  located.record = TRY(find_record(name));
  if (located.record == nullptr) return key_not_found(reference);
  if (reference.kind == KeyReference::Kind::kAlias) located.alias = reference.name;
  return located;
}

Outcome<KeyRecordPtr> Keyring::locate_material(const Realm& realm, const MaterialId& id) {
  KeyName name{realm, {}};
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_material_.find(material_key(realm, id)); found != by_material_.end())
      name = found->second;
  }
  if (name.id.empty()) {
    auto owner = TRY(store_.find_material_owner(realm, id));
    if (!owner) return KeyRecordPtr{};
    name.id = std::move(*owner);
  }
  return find_record(name);
}

Outcome<KeyRecordPtr> Keyring::create_key(const Realm& realm, const KeyDraft& draft) {
  const WallTime now = clock_.now();
  Key key;
  key.realm = realm;
  key.id = make_uuid(rng_);
  key.spec = draft.spec;
  key.usage = draft.usage;
  key.description = draft.description;
  key.policy = draft.policy;
  key.created = now;

  Material material;
  rng_.fill(material.id);
  material.created = now;
  const Secret secret = TRY(make_secret(draft.spec, rng_));
  material.wrapped = root_.wrap_material(key_arn(realm, key.id), material.id, material.version, secret, rng_);
  key.current_material = material.id;

  const KeyName name{realm, key.id};
  TRY(store_.write([&](StoreWriter& writer) -> Result<void> {
    TRY(writer.insert_key(key));
    TRY(writer.insert_material(name, material));
    for (const auto& [tag, value] : draft.tags) TRY(writer.set_tag(name, tag, value));
    return {};
  }));
  return find_record(name);
}

// The row is read again inside the write, so that two changes at once cannot undo one another.
Outcome<void> Keyring::change_key(const KeyRecord& record, const std::function<Outcome<void>(Key&)>& edit) {
  std::optional<Fault> refused;
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    refused.reset();
    auto key = TRY(writer.find_key(record.name()));
    if (!key || is_due(*key, clock_.now())) {
      refused = key_not_found(reference_to(record.name()));
    } else if (auto edited = edit(*key); !edited.ok()) {
      refused = std::move(edited).error();
    }
    if (refused) return conflict("refused");
    return writer.update_key(*key);
  });
  forget(record.name());
  if (refused) return std::move(*refused);
  if (!written.ok()) return written.error();
  return {};
}

Outcome<void> Keyring::set_policy(const KeyRecord& record, std::string_view policy) {
  return change_key(record, [&](Key& key) -> Outcome<void> {
    key.policy = policy;
    return {};
  });
}

Outcome<void> Keyring::set_enabled(const KeyRecord& record, Enable enable) {
  return change_key(record, [&](Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kEnable, key.state, record.arn));
    if (key.state != KeyState::kUnavailable)
      key.state = enable == Enable::kYes ? KeyState::kEnabled : KeyState::kDisabled;
    return {};
  });
}

Outcome<WallTime> Keyring::schedule_deletion(const KeyRecord& record, std::int64_t window_days) {
  const WallTime date = clock_.now() + std::chrono::days{window_days};
  TRY(change_key(record, [&](Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kScheduleDeletion, key.state, record.arn));
    key.state = KeyState::kPendingDeletion;
    key.deletion_date = date;
    key.pending_window_days = window_days;
    return {};
  }));
  return date;
}

Outcome<void> Keyring::cancel_deletion(const KeyRecord& record) {
  return change_key(record, [&](Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kCancelDeletion, key.state, record.arn));
    key.state = KeyState::kDisabled;
    key.deletion_date.reset();
    key.pending_window_days.reset();
    return {};
  });
}

Outcome<std::optional<Alias>> Keyring::find_alias(const Realm& realm, std::string_view name) {
  return TRY(store_.find_alias(realm, name));
}

Outcome<void> Keyring::create_alias(const Realm& realm, std::string_view name, const KeyRecord& target) {
  const WallTime now = clock_.now();
  const auto written = store_.write([&](StoreWriter& writer) {
    return writer.insert_alias(realm, {std::string(name), target.key.id, now, now});
  });
  forget(target.name());
  if (written.ok()) return {};
  if (written.error().code() == ErrorCode::kConflict) {
    return fault(FaultKind::kAlreadyExists,
                 fmt::format("An alias with the name {} already exists", alias_arn(realm, name)));
  }
  if (written.error().code() == ErrorCode::kNotFound) return key_not_found(reference_to(target.name()));
  return written.error();
}

Outcome<void> Keyring::update_alias(const Realm& realm, std::string_view name, const KeyRecord& target) {
  std::optional<Alias> before;
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    before = TRY(writer.find_alias(realm, name));
    if (!before) return not_found("alias");
    Alias after = *before;
    after.key_id = target.key.id;
    after.updated = clock_.now();
    return writer.update_alias(realm, after);
  });
  if (before) forget({realm, before->key_id});
  forget(target.name());
  if (!before) return key_not_found({KeyReference::Kind::kAlias, realm, std::string(name)});
  if (written.ok()) return {};
  if (written.error().code() == ErrorCode::kNotFound) return key_not_found(reference_to(target.name()));
  return written.error();
}

Outcome<void> Keyring::delete_alias(const Realm& realm, std::string_view name) {
  std::optional<Alias> before;
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    before = TRY(writer.find_alias(realm, name));
    if (!before) return not_found("alias");
    return writer.remove_alias(realm, name);
  });
  if (before) forget({realm, before->key_id});
  if (!before) return key_not_found({KeyReference::Kind::kAlias, realm, std::string(name)});
  if (!written.ok()) return written.error();
  return {};
}

Result<std::size_t> Keyring::delete_due() {
  std::size_t deleted = 0;
  for (const KeyName& name : TRY(store_.list_due(clock_.now(), 100))) {
    TRY(store_.write([&](StoreWriter& writer) -> Result<void> {
      const auto key = TRY(writer.find_key(name));
      if (!key || !is_due(*key, clock_.now())) return {};
      return writer.remove_key(name);
    }));
    forget(name);
    ++deleted;
  }
  return deleted;
}

}  // namespace casemate::kms
