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

Result<UsableMaterial> usable(KeySpec spec, Material row, Secret secret) {
  UsableMaterial out;
  out.id = row.id;
  out.version = row.version;
  row.wrapped.clear();
  out.row = std::move(row);
  if (secret.empty()) return out;
  if (const auto kind = key_kind(spec)) {
    out.pair = TRY(crypto::PrivateKey::parse_pkcs8(*kind, secret));
  } else {
    out.secret = std::move(secret);
  }
  return out;
}

}  // namespace

const UsableMaterial* KeyRecord::find_material(const MaterialId& id) const {
  const auto it = std::find_if(materials.begin(), materials.end(),
                               [&](const UsableMaterial& m) { return m.id == id && m.is_present(); });
  return it == materials.end() ? nullptr : &*it;
}

const UsableMaterial* KeyRecord::current_material() const {
  return key.current_material ? find_material(*key.current_material) : nullptr;
}

const Grant* KeyRecord::find_grant(std::string_view id) const {
  const auto it = std::find_if(grants.begin(), grants.end(), [&](const Grant& grant) { return grant.id == id; });
  return it == grants.end() ? nullptr : &*it;
}

Keyring::Keyring(Store& store, const RootKey& root, const Clock& clock, Rng& rng, Options options)
    : store_(store),
      root_(root),
      clock_(clock),
      rng_(rng),
      options_(options),
      token_key_(root.derive("grant tokens")),
      material_id_key_(root.derive("material ids")) {}

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
  const Store::Reading rows = store_.reader();
  auto key = TRY(rows->find_key(name));
  if (!key) return KeyRecordPtr{};
  auto record = std::make_shared<KeyRecord>();
  record->arn = key_arn(name.realm, name.id);
  record->key = std::move(*key);
  // Limits were applied when the policy was stored; a stored one must not become unreadable by tighter ones.
  record->policy = {record->arn,
                    TRY(iam::parse_policy(record->key.policy, iam::PolicyType::kResource).in(record->arn))};
  for (Material& material : TRY(rows->list_materials(name))) {
    Secret secret;
    if (!material.wrapped.empty()) {
      secret = TRY(root_.unwrap_material(record->arn, material.id, material.version, material.wrapped).in(record->arn));
      if (material.valid_to) record->expiry = std::min(record->expiry.value_or(*material.valid_to), *material.valid_to);
    }
    record->materials.push_back(TRY(usable(record->key.spec, std::move(material), std::move(secret)).in(record->arn)));
  }
  for (Alias& alias : TRY(rows->list_aliases_of(name, {}, kAliasesPerKey)))
    record->aliases.push_back(std::move(alias.name));
  record->tags = TRY(rows->list_tags(name));
  record->grants = TRY(rows->list_grants(name));
  for (const Grant& grant : record->grants) {
    // A constraint on the source is one for services that call on a resource's behalf; none call this one.
    if (!grant.constraints.source_arn.empty()) continue;
    record->grants_to_decide.push_back(
        {grant.id, grant.grantee, grant.operations, grant.constraints.equals, grant.constraints.subset});
  }
  record->regions = {name.realm.region};
  if (record->key.multi_region) record->regions = TRY(rows->list_regions(name.realm.account, name.id));
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
  if (record != nullptr && record->expiry && *record->expiry <= clock_.now()) {
    TRY(expire_due());
    record = TRY(load(name));
  }
  // A key past its waiting period is gone, whether or not delete_due has come round.
  if (record != nullptr && record->key.is_due(clock_.now())) return KeyRecordPtr{};
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
      const auto alias = TRY(store_.reader()->find_alias(reference.realm, reference.name));
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
    auto owner = TRY(store_.reader()->find_material_owner(realm, id));
    if (!owner) return KeyRecordPtr{};
    name.id = std::move(*owner);
  }
  return find_record(name);
}

}  // namespace casemate::kms
