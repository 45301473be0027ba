// SPDX-License-Identifier: Apache-2.0
// Keyring: keys ready for use. It unwraps and caches what the store keeps wrapped, and makes every change to it.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/pkey.h"
#include "iam/caller.h"
#include "kms/fault.h"
#include "kms/identifier.h"
#include "kms/key.h"
#include "kms/root_key.h"
#include "kms/store.h"

namespace casemate::kms {

// UsableMaterial has `pair` for keys that are pairs, `secret` for the others.
struct UsableMaterial {
  MaterialId id{};
  std::uint32_t version = 1;
  Secret secret;
  std::optional<crypto::PrivateKey> pair;
};

// KeyRecord is a key as it was at one moment; it never changes.
struct KeyRecord {
  Key key;
  std::string arn;
  iam::NamedPolicy policy;
  std::vector<UsableMaterial> materials;  // oldest first
  std::vector<std::string> aliases;       // names with their prefix
  Tags tags;

  KeyName name() const { return {key.realm, key.id}; }
  const UsableMaterial* find_material(const MaterialId& id) const;
  const UsableMaterial* current_material() const;
};
// Shared by the cache and the requests that use it.
using KeyRecordPtr = std::shared_ptr<const KeyRecord>;

struct Located {
  KeyRecordPtr record;
  std::string alias;  // the alias's name when the reference was one, else empty
};

// KeyDraft is a key to be made: values that the caller has checked.
struct KeyDraft {
  KeySpec spec = KeySpec::kSymmetricDefault;
  KeyUsage usage = KeyUsage::kEncryptDecrypt;
  std::string description;
  std::string policy;
  Tags tags;
};

class Keyring {
 public:
  struct Options {
    // Keys held ready; some 600 bytes and the policy each.
    std::size_t cached_keys = 10'000;
  };

  // The parts must outlive the keyring.
  Keyring(Store& store, const RootKey& root, const Clock& clock, Rng& rng, Options options);
  Keyring(Store& store, const RootKey& root, const Clock& clock, Rng& rng)
      : Keyring(store, root, clock, rng, Options{}) {}

  // locate finds the key that a reference names. Faults: NotFound.
  Outcome<Located> locate(const KeyReference& reference);
  // locate_material finds the key of a material; null when no key here has it.
  Outcome<KeyRecordPtr> locate_material(const Realm& realm, const MaterialId& id);

  Outcome<KeyRecordPtr> create_key(const Realm& realm, const KeyDraft& draft);
  Outcome<void> set_policy(const KeyRecord& record, std::string_view policy);
  // set_enabled leaves a key that is unavailable as it is.
  enum class Enable { kNo, kYes };
  Outcome<void> set_enabled(const KeyRecord& record, Enable enable);
  Outcome<WallTime> schedule_deletion(const KeyRecord& record, std::int64_t window_days);
  Outcome<void> cancel_deletion(const KeyRecord& record);

  // Faults of alias changes: AlreadyExists, NotFound, InvalidState when the key has gone meanwhile.
  Outcome<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name);
  Outcome<void> create_alias(const Realm& realm, std::string_view name, const KeyRecord& target);
  Outcome<void> update_alias(const Realm& realm, std::string_view name, const KeyRecord& target);
  Outcome<void> delete_alias(const Realm& realm, std::string_view name);

  StoreReader& reader() { return store_; }

  // delete_due removes keys whose waiting period is over and returns how many.
  Result<std::size_t> delete_due();

 private:
  struct Slot {
    KeyName name;
    KeyRecordPtr record;
  };
  using Slots = std::list<Slot>;

  Outcome<KeyRecordPtr> find_record(const KeyName& name);
  Result<KeyRecordPtr> load(const KeyName& name);
  Outcome<void> change_key(const KeyRecord& record, const std::function<Outcome<void>(Key&)>& edit);
  KeyRecordPtr cached(const std::string& slot_key);
  void keep(const KeyRecordPtr& record, std::uint64_t generation);
  void forget(const KeyName& name);
  void drop(Slots::iterator slot);

  Store& store_;
  const RootKey& root_;
  const Clock& clock_;
  Rng& rng_;
  const Options options_;

  std::mutex mutex_;  // guards what follows
  // Counts changes: a record loaded before a change is not kept after it.
  std::uint64_t generation_ = 0;
  Slots slots_;  // most recently used first
  std::unordered_map<std::string, Slots::iterator> by_name_;
  std::unordered_map<std::string, KeyName> by_alias_;
  std::unordered_map<std::string, KeyName> by_material_;
};

}  // namespace casemate::kms
