// SPDX-License-Identifier: Apache-2.0
#include "kms/store/memory/memory_store.h"

#include <map>
#include <mutex>

namespace casemate::kms::store::memory {
namespace {

using AliasName = std::pair<Realm, std::string>;
using MaterialName = std::pair<Realm, MaterialId>;

struct Tables {
  std::map<KeyName, Key> keys;
  std::map<KeyName, std::map<std::uint32_t, Material>> materials;
  std::map<MaterialName, std::string> owners;
  std::map<AliasName, Alias> aliases;
  std::map<KeyName, std::map<std::string, std::string, std::less<>>> tags;
};

// Rows works on tables that its owner guards.
class Rows final : public StoreWriter {
 public:
  explicit Rows(Tables& tables) : tables_(tables) {}

  Result<std::optional<Key>> find_key(const KeyName& name) override {
    const auto it = tables_.keys.find(name);
    if (it == tables_.keys.end()) return std::optional<Key>{};
    return std::optional<Key>(it->second);
  }

  Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) override {
    std::vector<std::string> out;
    for (auto it = tables_.keys.upper_bound({realm, std::string(after)});
         it != tables_.keys.end() && out.size() < limit; ++it) {
      if (it->first.realm != realm) break;
      out.push_back(it->first.id);
    }
    return out;
  }

  Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) override {
    std::vector<KeyName> out;
    for (const auto& [name, key] : tables_.keys) {
      if (out.size() < limit && key.deletion_date && *key.deletion_date <= now) out.push_back(name);
    }
    return out;
  }

  Result<std::vector<Material>> list_materials(const KeyName& name) override {
    std::vector<Material> out;
    const auto it = tables_.materials.find(name);
    if (it == tables_.materials.end()) return out;
    for (const auto& [version, material] : it->second) out.push_back(material);
    return out;
  }

  Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) override {
    const auto it = tables_.owners.find({realm, id});
    if (it == tables_.owners.end()) return std::optional<std::string>{};
    return std::optional<std::string>(it->second);
  }

  Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) override {
    const auto it = tables_.aliases.find({realm, std::string(name)});
    if (it == tables_.aliases.end()) return std::optional<Alias>{};
    return std::optional<Alias>(it->second);
  }

  Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) override {
    return aliases_where(realm, after, limit, [](const Alias&) { return true; });
  }

  Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) override {
    return aliases_where(key.realm, after, limit, [&](const Alias& alias) { return alias.key_id == key.id; });
  }

  Result<Tags> list_tags(const KeyName& key) override {
    const auto it = tables_.tags.find(key);
    if (it == tables_.tags.end()) return Tags{};
    return Tags(it->second.begin(), it->second.end());
  }

  Result<void> insert_key(const Key& key) override {
    if (!tables_.keys.emplace(KeyName{key.realm, key.id}, key).second) return conflict("key {}: exists", key.id);
    return {};
  }

  Result<void> update_key(const Key& key) override {
    const auto it = tables_.keys.find({key.realm, key.id});
    if (it == tables_.keys.end()) return not_found("key {}", key.id);
    it->second = key;
    return {};
  }

  Result<void> remove_key(const KeyName& name) override {
    if (tables_.keys.erase(name) == 0) return not_found("key {}", name.id);
    for (const auto& [version, material] : tables_.materials[name]) tables_.owners.erase({name.realm, material.id});
    tables_.materials.erase(name);
    tables_.tags.erase(name);
    std::erase_if(tables_.aliases,
                  [&](const auto& row) { return row.first.first == name.realm && row.second.key_id == name.id; });
    return {};
  }

  Result<void> insert_material(const KeyName& key, const Material& material) override {
    TRY(require_key(key));
    if (tables_.owners.contains({key.realm, material.id}) || tables_.materials[key].contains(material.version)) {
      return conflict("key {}: material {} exists", key.id, material.version);
    }
    tables_.owners[{key.realm, material.id}] = key.id;
    tables_.materials[key][material.version] = material;
    return {};
  }

  Result<void> insert_alias(const Realm& realm, const Alias& alias) override {
    TRY(require_key({realm, alias.key_id}));
    if (!tables_.aliases.emplace(AliasName{realm, alias.name}, alias).second) return conflict("{}: exists", alias.name);
    return {};
  }

  Result<void> update_alias(const Realm& realm, const Alias& alias) override {
    TRY(require_key({realm, alias.key_id}));
    const auto it = tables_.aliases.find({realm, alias.name});
    if (it == tables_.aliases.end()) return not_found("{}", alias.name);
    it->second = alias;
    return {};
  }

  Result<void> remove_alias(const Realm& realm, std::string_view name) override {
    if (tables_.aliases.erase({realm, std::string(name)}) == 0) return not_found("{}", name);
    return {};
  }

  Result<void> set_tag(const KeyName& key, std::string_view tag, std::string_view value) override {
    TRY(require_key(key));
    tables_.tags[key].insert_or_assign(std::string(tag), std::string(value));
    return {};
  }

  Result<void> remove_tag(const KeyName& key, std::string_view tag) override {
    auto& tags = tables_.tags[key];
    const auto it = tags.find(tag);
    if (it == tags.end()) return not_found("tag {}", tag);
    tags.erase(it);
    return {};
  }

 private:
  Result<void> require_key(const KeyName& name) const {
    if (!tables_.keys.contains(name)) return not_found("key {}", name.id);
    return {};
  }

  template <typename Predicate>
  std::vector<Alias> aliases_where(const Realm& realm, std::string_view after, std::size_t limit,
                                   Predicate wanted) const {
    std::vector<Alias> out;
    for (auto it = tables_.aliases.upper_bound({realm, std::string(after)});
         it != tables_.aliases.end() && out.size() < limit; ++it) {
      if (it->first.first != realm) break;
      if (wanted(it->second)) out.push_back(it->second);
    }
    return out;
  }

  Tables& tables_;
};

class MemoryStore final : public Store {
 public:
  Result<void> write(const Change& change) override {
    const std::lock_guard lock(mutex_);
    Tables next = tables_;
    Rows rows(next);
    TRY(change(rows));
    tables_ = std::move(next);
    return {};
  }

  Result<std::optional<Key>> find_key(const KeyName& name) override { return read()->find_key(name); }
  Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) override {
    return read()->list_keys(realm, after, limit);
  }
  Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) override {
    return read()->list_due(now, limit);
  }
  Result<std::vector<Material>> list_materials(const KeyName& name) override { return read()->list_materials(name); }
  Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) override {
    return read()->find_material_owner(realm, id);
  }
  Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) override {
    return read()->find_alias(realm, name);
  }
  Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) override {
    return read()->list_aliases(realm, after, limit);
  }
  Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) override {
    return read()->list_aliases_of(key, after, limit);
  }
  Result<Tags> list_tags(const KeyName& key) override { return read()->list_tags(key); }

 private:
  // Locked holds the lock until the end of the expression that made it.
  class Locked {
   public:
    explicit Locked(MemoryStore& store) : lock_(store.mutex_), rows_(store.tables_) {}
    Rows* operator->() { return &rows_; }

   private:
    std::lock_guard<std::mutex> lock_;
    Rows rows_;
  };

  Locked read() { return Locked(*this); }

  std::mutex mutex_;
  Tables tables_;
};

}  // namespace

std::unique_ptr<Store> create_memory_store() {
  return std::make_unique<MemoryStore>();
}

}  // namespace casemate::kms::store::memory
