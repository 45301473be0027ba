// SPDX-License-Identifier: Apache-2.0
// Store: where keys are kept. It knows rows, not rules: who may do what, and in which state, is decided above it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kms/key.h"

namespace casemate::kms {

// KeyName is a key's place in a store.
struct KeyName {
  Realm realm;
  std::string id;
  auto operator<=>(const KeyName&) const = default;
};

// StoreReader sees committed rows; within a write, that write's own too. Lists are in order of name and begin after
// `after` (empty: from the start).
class StoreReader {
 public:
  virtual ~StoreReader() = default;

  virtual Result<std::optional<Key>> find_key(const KeyName& name) = 0;
  virtual Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) = 0;
  // list_due gives keys whose deletion date is not after `now`.
  virtual Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) = 0;

  // Oldest version first.
  virtual Result<std::vector<Material>> list_materials(const KeyName& name) = 0;
  // find_material_owner gives the key, in that realm, that a material belongs to.
  virtual Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) = 0;

  virtual Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) = 0;
  virtual Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) = 0;
  virtual Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) = 0;

  virtual Result<Tags> list_tags(const KeyName& key) = 0;
};

// StoreWriter changes rows. Errors: kConflict for an insert of what exists, kNotFound for an update or a removal of
// what does not, and for rows of a key that does not exist.
class StoreWriter : public StoreReader {
 public:
  virtual Result<void> insert_key(const Key& key) = 0;
  virtual Result<void> update_key(const Key& key) = 0;
  // remove_key takes its materials, aliases and tags along.
  virtual Result<void> remove_key(const KeyName& name) = 0;
  virtual Result<void> insert_material(const KeyName& key, const Material& material) = 0;
  virtual Result<void> insert_alias(const Realm& realm, const Alias& alias) = 0;
  virtual Result<void> update_alias(const Realm& realm, const Alias& alias) = 0;
  virtual Result<void> remove_alias(const Realm& realm, std::string_view name) = 0;
  // set_tag adds or replaces.
  virtual Result<void> set_tag(const KeyName& key, std::string_view tag, std::string_view value) = 0;
  virtual Result<void> remove_tag(const KeyName& key, std::string_view tag) = 0;
};

// Store may be used by several threads.
class Store : public StoreReader {
 public:
  using Change = std::function<Result<void>(StoreWriter&)>;
  // write makes all of a change durable before it returns, or nothing of it: an error of the change undoes it and comes
  // back as it is. Other errors: kLimit (no space), kUnavailable (busy), kInternal.
  virtual Result<void> write(const Change& change) = 0;
};

}  // namespace casemate::kms
