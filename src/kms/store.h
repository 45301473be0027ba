// SPDX-License-Identifier: Apache-2.0
// Store: where keys are kept. It knows rows, not rules: who may do what, and in which state, is decided above it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kms/grant.h"
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

  // list_regions gives the regions that have a key of that id: several for multi-Region keys.
  virtual Result<std::vector<std::string>> list_regions(const std::string& account, std::string_view id) = 0;
  // Keys whose next rotation is not after `now`, and keys that have material which expired by then.
  virtual Result<std::vector<KeyName>> list_rotation_due(WallTime now, std::size_t limit) = 0;
  virtual Result<std::vector<KeyName>> list_expired(WallTime now, std::size_t limit) = 0;

  struct GrantOfKey {
    KeyName key;
    Grant grant;
    bool operator==(const GrantOfKey&) const = default;
  };
  virtual Result<std::optional<GrantOfKey>> find_grant(std::string_view grant_id) = 0;
  virtual Result<std::vector<Grant>> list_grants(const KeyName& key) = 0;
  // list_retirable gives grants in that region whose retiring principal is that one, by id.
  virtual Result<std::vector<GrantOfKey>> list_retirable(const std::string& region, std::string_view principal,
                                                         std::string_view after, std::size_t limit) = 0;

  virtual Result<std::optional<LastUse>> find_last_use(const KeyName& key) = 0;

  // list_all_materials visits every material of every key, for wrapping them anew.
  struct MaterialOfKey {
    KeyName key;
    Material material;
  };
  virtual Result<std::vector<MaterialOfKey>> list_all_materials() = 0;
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
  // update_material changes all but the id.
  virtual Result<void> update_material(const KeyName& key, const Material& material) = 0;
  virtual Result<void> insert_alias(const Realm& realm, const Alias& alias) = 0;
  virtual Result<void> update_alias(const Realm& realm, const Alias& alias) = 0;
  virtual Result<void> remove_alias(const Realm& realm, std::string_view name) = 0;
  // set_tag adds or replaces.
  virtual Result<void> set_tag(const KeyName& key, std::string_view tag, std::string_view value) = 0;
  virtual Result<void> remove_tag(const KeyName& key, std::string_view tag) = 0;
  virtual Result<void> insert_grant(const KeyName& key, const Grant& grant) = 0;
  virtual Result<void> remove_grant(std::string_view grant_id) = 0;
  virtual Result<void> set_last_use(const KeyName& key, const LastUse& use) = 0;
};

// Store may be used by several threads.
class Store {
 public:
  virtual ~Store() = default;

  // Reading lends a reader to one thread for as long as it lives. A thread that has one must not ask for another.
  class Reading {
   public:
    Reading(std::unique_lock<std::mutex> lock, StoreReader& reader) : lock_(std::move(lock)), reader_(&reader) {}
    StoreReader* operator->() const { return reader_; }

   private:
    std::unique_lock<std::mutex> lock_;
    StoreReader* reader_;
  };
  virtual Reading reader() = 0;

  using Change = std::function<Result<void>(StoreWriter&)>;
  // write makes all of a change durable before it returns, or nothing of it: an error of the change undoes it and comes
  // back as it is. Changes that meet share one sync of the disk; a change may run on the thread of another, at most
  // once at a time. Other errors: kLimit (no space), kUnavailable (busy), kInternal.
  virtual Result<void> write(const Change& change) = 0;
};

}  // namespace casemate::kms
