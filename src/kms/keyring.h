// SPDX-License-Identifier: Apache-2.0
// Keyring: keys ready for use. It unwraps and caches what the store keeps wrapped, and makes every change to it.
#pragma once

#include <functional>
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
#include "kms/grant.h"
#include "kms/identifier.h"
#include "kms/key.h"
#include "kms/root_key.h"
#include "kms/store.h"

namespace casemate::kms {

// UsableMaterial has `pair` for keys that are pairs, `secret` for the others; neither when imported material expired or
// was deleted.
struct UsableMaterial {
  MaterialId id{};
  std::uint32_t version = 1;
  Secret secret;
  std::optional<crypto::PrivateKey> pair;
  // The row without its wrapped bytes.
  Material row;

  bool is_present() const { return pair.has_value() || !secret.empty(); }
};

// KeyRecord is a key as it was at one moment; it never changes.
struct KeyRecord {
  Key key;
  std::string arn;
  iam::NamedPolicy policy;
  std::vector<UsableMaterial> materials;  // oldest first
  std::vector<std::string> aliases;       // names with their prefix
  Tags tags;
  std::vector<Grant> grants;                 // by id
  std::vector<iam::Grant> grants_to_decide;  // those that may allow something
  std::vector<std::string> regions;          // of a multi-Region key, its own included; else only its own
  std::optional<WallTime> expiry;            // when the first imported material expires

  KeyName name() const { return {key.realm, key.id}; }
  // Present material of that id.
  const UsableMaterial* find_material(const MaterialId& id) const;
  const UsableMaterial* current_material() const;
  const Grant* find_grant(std::string_view id) const;
};
// Shared by the cache and the requests that use it.
using KeyRecordPtr = std::shared_ptr<const KeyRecord>;

struct Located {
  KeyRecordPtr record;
  std::string alias;  // the alias's name when the reference was one, else empty
};

enum class MultiRegion { kNo, kYes };

// KeyDraft is a key to be made: values that the caller has checked.
struct KeyDraft {
  KeySpec spec = KeySpec::kSymmetricDefault;
  KeyUsage usage = KeyUsage::kEncryptDecrypt;
  KeyOrigin origin = KeyOrigin::kAwsKms;
  MultiRegion multi_region = MultiRegion::kNo;
  std::string description;
  std::string policy;
  Tags tags;
};

// ImportDraft is key material to be taken into a key, decrypted and checked in its form.
struct ImportDraft {
  enum class Type { kUnsaid, kNew, kExisting };
  Secret secret;
  Type type = Type::kUnsaid;
  std::optional<WallTime> valid_to;
  std::optional<std::string> description;
  std::optional<MaterialId> expected;  // refused unless the material's id is this one
};

// GrantDraft is a grant without what the service gives it.
struct GrantDraft {
  std::string name;
  std::string grantee;
  std::string retiring;
  std::vector<std::string> operations;
  GrantConstraints constraints;
};

class Keyring {
 public:
  struct Options {
    // Keys held ready; some 600 bytes and the policy each, and up to 10 KiB for an RSA key.
    std::size_t cached_keys = 10'000;
    std::size_t grants_per_key = 50'000;
    std::int64_t on_demand_rotations = 25;
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
  Outcome<void> set_description(const KeyRecord& record, std::string_view description);
  // set_enabled leaves a key that is unavailable as it is.
  enum class Enable { kNo, kYes };
  Outcome<void> set_enabled(const KeyRecord& record, Enable enable);
  // schedule_deletion gives the key as it then is: a primary waits for its replicas first.
  Outcome<Key> schedule_deletion(const KeyRecord& record, std::int64_t window_days);
  Outcome<void> cancel_deletion(const KeyRecord& record);

  // Faults of alias changes: AlreadyExists, NotFound, InvalidState when the key has gone meanwhile.
  Outcome<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name);
  Outcome<void> create_alias(const Realm& realm, std::string_view name, const KeyRecord& target);
  Outcome<void> update_alias(const Realm& realm, std::string_view name, const KeyRecord& target);
  Outcome<void> delete_alias(const Realm& realm, std::string_view name);

  // Faults: Tag, when the key would have more than `most`.
  Outcome<void> set_tags(const KeyRecord& record, const Tags& tags, std::size_t most);
  Outcome<void> remove_tags(const KeyRecord& record, const std::vector<std::string>& names);

  // create_grant gives the grant of that name when it exists with the same content. Faults: LimitExceeded.
  Outcome<Grant> create_grant(const KeyRecord& record, const GrantDraft& draft);
  // remove_grant faults with NotFound for a grant that the key has not.
  Outcome<void> remove_grant(const KeyRecord& record, std::string_view grant_id);
  // A token proves that it was given out for the grant; nothing of it is stored. read_grant_token gives the grant's id.
  std::string make_grant_token(std::string_view grant_id);
  std::optional<std::string> read_grant_token(std::string_view token) const;

  // Automatic rotation; changes go to all regions of a multi-Region key.
  Outcome<void> enable_rotation(const KeyRecord& record, std::int64_t period_days);
  Outcome<void> disable_rotation(const KeyRecord& record);
  // rotate_on_demand makes new material, or the pending imported one, current. Faults: LimitExceeded, InvalidState.
  Outcome<void> rotate_on_demand(const KeyRecord& record);

  // import_material gives the material's id. Faults: IncorrectKeyMaterial, InvalidState.
  Outcome<MaterialId> import_material(const KeyRecord& record, const ImportDraft& draft);
  // delete_material forgets imported material, the current one when no id is given; nothing happens when it is gone.
  Outcome<MaterialId> delete_material(const KeyRecord& record, const std::optional<MaterialId>& id);

  // replicate makes a replica in another region. Faults: AlreadyExists.
  Outcome<KeyRecordPtr> replicate(const KeyRecord& primary, const std::string& region, const KeyDraft& draft);
  Outcome<void> set_primary_region(const KeyRecord& record, const std::string& region);

  // note_use keeps the last use of a key, in memory until flush_uses.
  void note_use(const KeyName& name, LastUse use);
  Outcome<std::optional<LastUse>> find_last_use(const KeyName& name);
  Result<void> flush_uses();

  const RootKey& root() const { return root_; }
  Store::Reading reader() { return store_.reader(); }

  // pin_principal lets the policies of a realm's keys name the unique id of a user or role that is about to go
  // (iam::pin_principal). It returns how many did change.
  Result<std::size_t> pin_principal(const Realm& realm, std::string_view arn, std::string_view unique_id);

  // delete_due removes keys whose waiting period is over, rotate_due rotates those whose time has come, expire_due
  // forgets imported material past its time. Each returns how many keys.
  Result<std::size_t> delete_due();
  Result<std::size_t> rotate_due();
  Result<std::size_t> expire_due();

 private:
  struct Slot {
    KeyName name;
    KeyRecordPtr record;
  };
  using Slots = std::list<Slot>;
  // Edit changes the key, which is then written, and other rows of it.
  using Edit = std::function<Outcome<void>(StoreWriter&, Key&)>;

  Outcome<KeyRecordPtr> find_record(const KeyName& name);
  Result<KeyRecordPtr> load(const KeyName& name);
  Outcome<void> change_key(const KeyRecord& record, const Edit& edit);
  // change_everywhere edits the key in each of its regions, in one change.
  Outcome<void> change_everywhere(const KeyRecord& record, const Edit& edit);
  Outcome<void> change_regions(const KeyRecord& record, const std::vector<std::string>& regions, const Edit& edit);
  Material wrap(const KeyName& name, Material material, const Secret& secret);
  Outcome<void> rotate(const KeyRecord& record, RotationType type);
  Result<void> finish_deletion(StoreWriter& writer, const KeyName& name, std::vector<KeyName>& touched);
  MaterialId imported_id(const KeyRecord& record, const Secret& secret) const;

  KeyRecordPtr cached(const std::string& slot_key);
  void keep(const KeyRecordPtr& record, std::uint64_t generation);
  void forget(const KeyName& name);
  void drop(Slots::iterator slot);

  Store& store_;
  const RootKey& root_;
  const Clock& clock_;
  Rng& rng_;
  const Options options_;
  const Secret token_key_;
  const Secret material_id_key_;

  std::mutex mutex_;  // guards what follows
  // Counts changes: a record loaded before a change is not kept after it.
  std::uint64_t generation_ = 0;
  Slots slots_;  // most recently used first
  std::unordered_map<std::string, Slots::iterator> by_name_;
  std::unordered_map<std::string, KeyName> by_alias_;
  std::unordered_map<std::string, KeyName> by_material_;

  std::mutex uses_mutex_;  // guards what follows
  std::unordered_map<std::string, std::pair<KeyName, LastUse>> uses_;
};

}  // namespace casemate::kms
