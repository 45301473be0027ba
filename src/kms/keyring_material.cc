// SPDX-License-Identifier: Apache-2.0
// What changes key material: rotation, import, expiry.
#include <algorithm>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "kms/algorithms.h"
#include "kms/keyring.h"
#include "kms/state.h"

namespace casemate::kms {
namespace {

constexpr std::size_t kDueAtOnce = 100;

const Material* find(const std::vector<Material>& materials, const std::optional<MaterialId>& id) {
  if (!id) return nullptr;
  const auto it = std::find_if(materials.begin(), materials.end(), [&](const Material& m) { return m.id == *id; });
  return it == materials.end() ? nullptr : &*it;
}

// pending is the material that was imported to become current and has not yet; null when there is none.
const Material* pending(const Key& key, const std::vector<Material>& materials) {
  const Material* current = find(materials, key.current_material);
  if (current == nullptr || materials.empty() || materials.back().version <= current->version) return nullptr;
  return &materials.back();
}

bool is_complete(const Key& key, const std::vector<Material>& materials) {
  const Material* current = find(materials, key.current_material);
  return current != nullptr && std::none_of(materials.begin(), materials.end(), [&](const Material& material) {
           return material.version <= current->version && material.wrapped.empty();
         });
}

Fault incorrect_material(std::string_view why) {
  return fault(FaultKind::kIncorrectKeyMaterial, std::string(why));
}

Outcome<void> forget_material(StoreWriter& writer, Key& key, Material material) {
  const KeyName name{key.realm, key.id};
  material.wrapped.clear();
  material.valid_to.reset();
  TRY(writer.update_material(name, material));
  const bool usable = is_complete(key, TRY(writer.list_materials(name)));
  if (!usable && key.state != KeyState::kPendingDeletion && key.state != KeyState::kPendingReplicaDeletion)
    key.state = KeyState::kPendingImport;
  return {};
}

}  // namespace

Outcome<void> Keyring::enable_rotation(const KeyRecord& record, std::int64_t period_days) {
  return change_everywhere(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    if (key.realm == record.key.realm) TRY(check_state(StateRule::kRotate, key.state, record.arn));
    key.rotation_period_days = period_days;
    key.next_rotation.reset();
    // Only one of several regions may have a date, or each would rotate on its own.
    if (!key.multi_region || key.is_primary()) key.next_rotation = clock_.now() + std::chrono::days{period_days};
    return {};
  });
}

Outcome<void> Keyring::disable_rotation(const KeyRecord& record) {
  return change_everywhere(record, [&](StoreWriter&, Key& key) -> Outcome<void> {
    if (key.realm == record.key.realm) TRY(check_state(StateRule::kRotate, key.state, record.arn));
    key.rotation_period_days.reset();
    key.next_rotation.reset();
    return {};
  });
}

Outcome<void> Keyring::rotate(const KeyRecord& record, RotationType type) {
  Material fresh;
  rng_.fill(fresh.id);
  fresh.created = clock_.now();
  fresh.rotation = type;
  const Secret secret = TRY(make_secret(record.key.spec, rng_));
  return change_everywhere(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    const KeyName name{key.realm, key.id};
    if (type == RotationType::kOnDemand && key.on_demand_rotations++ >= options_.on_demand_rotations) {
      return fault(FaultKind::kLimitExceeded,
                   fmt::format("The on-demand rotations limit has been reached for the given keyId. No more on-demand "
                               "rotations can be performed for this key: {}",
                               record.arn));
    }
    if (type == RotationType::kAutomatic && key.next_rotation && key.rotation_period_days)
      key.next_rotation = clock_.now() + std::chrono::days{*key.rotation_period_days};
    const auto materials = TRY(writer.list_materials(name));
    if (key.origin == KeyOrigin::kExternal) {
      const Material* next = pending(key, materials);
      if (next == nullptr || next->wrapped.empty()) {
        return fault(FaultKind::kInvalidState,
                     fmt::format("No available key material pending rotation for the key: {}.", record.arn));
      }
      Material changed = *next;
      changed.created = fresh.created;
      changed.rotation = type;
      key.current_material = changed.id;
      TRY(writer.update_material(name, changed));
      return {};
    }
    Material material = fresh;
    material.version = materials.empty() ? 1 : materials.back().version + 1;
    key.current_material = material.id;
    TRY(writer.insert_material(name, wrap(name, std::move(material), secret)));
    return {};
  });
}

Outcome<void> Keyring::rotate_on_demand(const KeyRecord& record) {
  return rotate(record, RotationType::kOnDemand);
}

Result<std::size_t> Keyring::rotate_due() {
  std::size_t rotated = 0;
  for (const KeyName& name : TRY(store_.reader()->list_rotation_due(clock_.now(), kDueAtOnce))) {
    const KeyRecordPtr record = TRY(load(name));
    // A key that is not enabled keeps its date and is rotated when it is enabled again.
    if (record == nullptr || record->key.state != KeyState::kEnabled) continue;
    const auto done = rotate(*record, RotationType::kAutomatic);
    if (!done.ok()) return internal("{}: {}", record->arn, done.error().detail);
    ++rotated;
  }
  return rotated;
}

// The id tells whether material is the same again, in every region, and nothing else of it.
MaterialId Keyring::imported_id(const KeyRecord& record, const Secret& secret) const {
  Bytes joined = to_bytes(as_bytes(record.key.realm.account + '/' + record.key.id + '/'));
  append(joined, secret.expose());
  const Bytes mac = crypto::hmac(crypto::Hash::kSha256, material_id_key_.expose(), joined);
  zeroize(joined.data(), joined.size());
  MaterialId id;
  std::copy(mac.begin(), mac.end(), id.begin());
  return id;
}

Outcome<MaterialId> Keyring::import_material(const KeyRecord& record, const ImportDraft& draft) {
  using Type = ImportDraft::Type;
  const MaterialId id = imported_id(record, draft.secret);
  if (draft.expected && *draft.expected != id) return incorrect_material("The key material is not the one of that id.");
  TRY(change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    const KeyName name = record.name();
    TRY(check_state(StateRule::kImport, key.state, record.arn));
    const auto materials = TRY(writer.list_materials(name));
    if (const Material* known = find(materials, id)) {
      if (draft.type == Type::kNew) return incorrect_material("The key material was imported into this key before.");
      Material material = *known;
      material.valid_to = draft.valid_to;
      if (draft.description) material.description = *draft.description;
      TRY(writer.update_material(name, wrap(name, std::move(material), draft.secret)));
    } else {
      if (draft.type == Type::kExisting || (!materials.empty() && draft.type != Type::kNew))
        return incorrect_material("The key material is not the one that was imported into this key before.");
      if (!materials.empty() && (key.spec != KeySpec::kSymmetricDefault || key.multi_region)) {
        return incorrect_material("Only single-Region symmetric encryption keys take new key material.");
      }
      if (const Material* waiting = pending(key, materials)) {
        return fault(FaultKind::kInvalidState,
                     fmt::format("New key material (id: {}) cannot be imported into KMS key {}, because another key "
                                 "material (id: {}) is pending rotation.",
                                 encode_hex(id), record.arn, encode_hex(waiting->id)));
      }
      // Regions of one key share their material: another region knows what it is.
      for (const std::string& region : record.regions) {
        if (region == key.realm.region) continue;
        const auto other = TRY(writer.list_materials({{key.realm.account, region}, key.id}));
        if (!other.empty() && find(other, id) == nullptr)
          return incorrect_material("The key material is not that of the other Regions of this key.");
      }
      Material material;
      material.id = id;
      material.version = materials.empty() ? 1 : materials.back().version + 1;
      material.created = clock_.now();
      material.valid_to = draft.valid_to;
      material.description = draft.description.value_or("");
      if (materials.empty()) key.current_material = id;
      TRY(writer.insert_material(name, wrap(name, std::move(material), draft.secret)));
    }
    if (key.state == KeyState::kPendingImport && is_complete(key, TRY(writer.list_materials(name))))
      key.state = KeyState::kEnabled;
    return {};
  }));
  return id;
}

Outcome<MaterialId> Keyring::delete_material(const KeyRecord& record, const std::optional<MaterialId>& id) {
  MaterialId deleted{};
  TRY(change_key(record, [&](StoreWriter& writer, Key& key) -> Outcome<void> {
    const auto materials = TRY(writer.list_materials(record.name()));
    const Material* material = find(materials, id ? id : key.current_material);
    if (material == nullptr) {
      if (!id) return {};
      return fault(FaultKind::kNotFound,
                   fmt::format("Key material {} of the key {} does not exist", encode_hex(*id), record.arn));
    }
    deleted = material->id;
    return forget_material(writer, key, *material);
  }));
  return deleted;
}

Result<std::size_t> Keyring::expire_due() {
  const WallTime now = clock_.now();
  std::size_t expired = 0;
  const auto names = TRY(store_.reader()->list_expired(now, kDueAtOnce));
  for (const KeyName& name : names) {
    TRY(store_.write([&](StoreWriter& writer) -> Result<void> {
      auto key = TRY(writer.find_key(name));
      if (!key) return {};
      for (const Material& material : TRY(writer.list_materials(name))) {
        if (!material.valid_to || *material.valid_to > now) continue;
        if (const auto done = forget_material(writer, *key, material); !done.ok())
          return internal("{}", done.error().detail);
      }
      return writer.update_key(*key);
    }));
    forget(name);
    ++expired;
  }
  return expired;
}

}  // namespace casemate::kms
