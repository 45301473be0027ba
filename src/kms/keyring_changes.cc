// SPDX-License-Identifier: Apache-2.0
// What changes keys: creation, states, policies, aliases, tags, replication.
#include <algorithm>

#include "kms/algorithms.h"
#include "kms/keyring.h"
#include "kms/state.h"

namespace casemate::kms {
namespace {

constexpr std::size_t kDueAtOnce = 100;

KeyReference reference_to(const KeyName& name) {
  return {KeyReference::Kind::kKey, name.realm, name.id};
}

bool lacks_material(const Key& key, const std::vector<Material>& materials) {
  if (key.origin != KeyOrigin::kExternal) return false;
  std::uint32_t current = 0;
  for (const Material& material : materials) {
    if (key.current_material && material.id == *key.current_material) current = material.version;
  }
  if (current == 0) return true;
  return std::any_of(materials.begin(), materials.end(),
                     [&](const Material& material) { return material.version <= current && material.wrapped.empty(); });
}

std::string make_multi_region_id(Rng& rng) {
  std::string id = "mrk-";
  for (const char c : make_uuid(rng)) {
    if (c != '-') id += c;
  }
  return id;
}

}  // namespace

Material Keyring::wrap(const KeyName& name, Material material, const Secret& secret) {
  material.wrapped = root_.wrap_material(key_arn(name.realm, name.id), material.id, material.version, secret, rng_);
  return material;
}

Outcome<KeyRecordPtr> Keyring::create_key(const Realm& realm, const KeyDraft& draft) {
  Key key;
  key.realm = realm;
  key.multi_region = draft.multi_region == MultiRegion::kYes;
  key.id = key.multi_region ? make_multi_region_id(rng_) : make_uuid(rng_);
  if (key.multi_region) key.primary_region = realm.region;
  key.spec = draft.spec;
  key.usage = draft.usage;
  key.origin = draft.origin;
  key.description = draft.description;
  key.policy = draft.policy;
  key.created = clock_.now();
  const KeyName name{realm, key.id};

  std::optional<Material> material;
  if (draft.origin == KeyOrigin::kExternal) {
    key.state = KeyState::kPendingImport;
  } else {
    material.emplace();
    rng_.fill(material->id);
    material->created = key.created;
    const Secret secret = TRY(make_secret(draft.spec, rng_));
    material = wrap(name, std::move(*material), secret);
    key.current_material = material->id;
  }
  TRY(store_.write([&](StoreWriter& writer) -> Result<void> {
    TRY(writer.insert_key(key));
    if (material) TRY(writer.insert_material(name, *material));
    for (const auto& [tag, value] : draft.tags) TRY(writer.set_tag(name, tag, value));
    return {};
  }));
  return find_record(name);
}

// Rows are read again inside the write, so that two changes at once cannot undo one another.
Outcome<void> Keyring::change_regions(const KeyRecord& record, const std::vector<std::string>& regions,
                                      const Edit& edit) {
  std::optional<Fault> refused;
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    refused.reset();
    for (const std::string& region : regions) {
      const KeyName name{{record.key.realm.account, region}, record.key.id};
      auto key = TRY(writer.find_key(name));
      if (!key || key->is_due(clock_.now())) {
        refused = key_not_found(reference_to(name));
      } else if (auto edited = edit(writer, *key); !edited.ok()) {
        refused = std::move(edited).error();
      }
      if (refused) return conflict("refused");
      TRY(writer.update_key(*key));
    }
    return {};
  });
  for (const std::string& region : record.regions) forget({{record.key.realm.account, region}, record.key.id});
  if (refused) return std::move(*refused);
  if (!written.ok()) return written.error();
  return {};
}

Outcome<void> Keyring::change_key(const KeyRecord& record, const Edit& edit) {
  return change_regions(record, {record.key.realm.region}, edit);
}

Outcome<void> Keyring::change_everywhere(const KeyRecord& record, const Edit& edit) {
  return change_regions(record, record.regions, edit);
}

Outcome<void> Keyring::set_policy(const KeyRecord& record, std::string_view policy) {
  return change_key(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    key.policy = policy;
    return {};
  });
}

Result<std::size_t> Keyring::pin_principal(const Realm& realm, std::string_view arn, std::string_view unique_id) {
  constexpr std::size_t kAtOnce = 500;
  std::size_t pinned = 0;
  for (std::string after;;) {
    const auto ids = TRY(store_.reader()->list_keys(realm, after, kAtOnce));
    if (ids.empty()) return pinned;
    for (const std::string& id : ids) {
      const KeyName name{realm, id};
      const auto key = TRY(store_.reader()->find_key(name));
      if (!key || !iam::pin_principal(key->policy, arn, unique_id)) continue;
      const KeyRecordPtr record = TRY(load(name));
      if (record == nullptr) continue;
      const auto changed = change_key(*record, [&](StoreWriter&, Key& row) -> Outcome<void> {
        if (auto text = iam::pin_principal(row.policy, arn, unique_id)) row.policy = *std::move(text);
        return {};
      });
      if (!changed.ok()) return internal("{}: {}", record->arn, changed.error().detail);
      ++pinned;
    }
    after = ids.back();
  }
}

Outcome<void> Keyring::set_description(const KeyRecord& record, std::string_view description) {
  return change_key(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kAlter, key.state, record.arn));
    key.description = description;
    return {};
  });
}

Outcome<void> Keyring::set_enabled(const KeyRecord& record, Enable enable) {
  return change_key(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kEnable, key.state, record.arn));
    if (key.state != KeyState::kUnavailable)
      key.state = enable == Enable::kYes ? KeyState::kEnabled : KeyState::kDisabled;
    return {};
  });
}

Outcome<Key> Keyring::schedule_deletion(const KeyRecord& record, std::int64_t window_days) {
  Key after;
  TRY(change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kScheduleDeletion, key.state, record.arn));
    key.pending_window_days = window_days;
    if (key.is_primary() && TRY(writer.list_regions(key.realm.account, key.id)).size() > 1) {
      key.state = KeyState::kPendingReplicaDeletion;
    } else {
      key.state = KeyState::kPendingDeletion;
      key.deletion_date = clock_.now() + std::chrono::days{window_days};
    }
    after = key;
    return {};
  }));
  return after;
}

Outcome<void> Keyring::cancel_deletion(const KeyRecord& record) {
  return change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kCancelDeletion, key.state, record.arn));
    const bool lacking = lacks_material(key, TRY(writer.list_materials(record.name())));
    key.state = lacking ? KeyState::kPendingImport : KeyState::kDisabled;
    key.deletion_date.reset();
    key.pending_window_days.reset();
    return {};
  });
}

Outcome<std::optional<Alias>> Keyring::find_alias(const Realm& realm, std::string_view name) {
  return TRY(store_.reader()->find_alias(realm, name));
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

Outcome<void> Keyring::set_tags(const KeyRecord& record, const Tags& tags, std::size_t most) {
  return change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kAlter, key.state, record.arn));
    for (const auto& [name, value] : tags) TRY(writer.set_tag(record.name(), name, value));
    if (TRY(writer.list_tags(record.name())).size() > most) return fault(FaultKind::kTag, "Too many tags");
    return {};
  });
}

Outcome<void> Keyring::remove_tags(const KeyRecord& record, const std::vector<std::string>& names) {
  return change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    TRY(check_state(StateRule::kAlter, key.state, record.arn));
    for (const std::string& name : names) {
      const auto removed = writer.remove_tag(record.name(), name);
      if (!removed.ok() && removed.error().code() != ErrorCode::kNotFound) return removed.error();
    }
    return {};
  });
}

Outcome<KeyRecordPtr> Keyring::replicate(const KeyRecord& primary, const std::string& region, const KeyDraft& draft) {
  const KeyName name{{primary.key.realm.account, region}, primary.key.id};
  const bool external = primary.key.origin == KeyOrigin::kExternal;
  bool exists = false;
  std::optional<Fault> refused;
  const auto written = store_.write([&](StoreWriter& writer) -> Result<void> {
    exists = TRY(writer.find_key(name)).has_value();
    if (exists) return conflict("refused");
    const auto source = TRY(writer.find_key(primary.name()));
    if (!source) return not_found("primary");
    Key key = *source;
    key.realm.region = region;
    key.description = draft.description;
    key.policy = draft.policy;
    key.created = clock_.now();
    key.state = external ? KeyState::kPendingImport : KeyState::kEnabled;
    key.next_rotation.reset();
    if (external) key.current_material.reset();
    TRY(writer.insert_key(key));
    if (!external) {
      for (const Material& material : TRY(writer.list_materials(primary.name()))) {
        const Secret secret = TRY(root_.unwrap_material(primary.arn, material.id, material.version, material.wrapped));
        TRY(writer.insert_material(name, wrap(name, material, secret)));
      }
    }
    for (const auto& [tag, value] : draft.tags) TRY(writer.set_tag(name, tag, value));
    return {};
  });
  for (const std::string& known : primary.regions) forget({{name.realm.account, known}, name.id});
  forget(name);
  if (exists) {
    return fault(FaultKind::kAlreadyExists, fmt::format("The key {} exists already.", key_arn(name.realm, name.id)));
  }
  if (!written.ok()) return written.error();
  return find_record(name);
}

Outcome<void> Keyring::set_primary_region(const KeyRecord& record, const std::string& region) {
  return change_everywhere(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    key.primary_region = region;
    key.next_rotation = key.realm.region == region ? record.key.next_rotation : std::nullopt;
    return {};
  });
}

// The last replica's end begins the waiting period of a primary that waits for it.
Result<void> Keyring::finish_deletion(StoreWriter& writer, const KeyName& name, std::vector<KeyName>& touched) {
  const auto key = TRY(writer.find_key(name));
  if (!key || !key->is_due(clock_.now())) return {};
  TRY(writer.remove_key(name));
  touched.push_back(name);
  if (!key->multi_region) return {};
  const auto regions = TRY(writer.list_regions(name.realm.account, name.id));
  for (const std::string& region : regions) touched.push_back({{name.realm.account, region}, name.id});
  if (regions.size() != 1) return {};
  auto last = TRY(writer.find_key(touched.back()));
  if (!last || last->state != KeyState::kPendingReplicaDeletion) return {};
  last->state = KeyState::kPendingDeletion;
  last->deletion_date = clock_.now() + std::chrono::days{last->pending_window_days.value_or(30)};
  return writer.update_key(*last);
}

Result<std::size_t> Keyring::delete_due() {
  std::size_t deleted = 0;
  for (const KeyName& name : TRY(store_.reader()->list_due(clock_.now(), kDueAtOnce))) {
    std::vector<KeyName> touched;
    TRY(store_.write([&](StoreWriter& writer) {
      touched.clear();
      return finish_deletion(writer, name, touched);
    }));
    for (const KeyName& changed : touched) forget(changed);
    ++deleted;
  }
  return deleted;
}

}  // namespace casemate::kms
