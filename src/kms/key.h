// SPDX-License-Identifier: Apache-2.0
// Keys, aliases and key material as KMS knows them: values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace casemate::kms {

enum class KeySpec : std::uint8_t {
  kSymmetricDefault,
  kRsa2048,
  kRsa3072,
  kRsa4096,
  kEccNistP256,
  kEccNistP384,
  kEccNistP521,
  kEccSecgP256k1,
  kEccNistEdwards25519,
  kHmac224,
  kHmac256,
  kHmac384,
  kHmac512,
  kSm2,
  kMlDsa44,
  kMlDsa65,
  kMlDsa87,
  kMlKem512,
  kMlKem768,
  kMlKem1024,
};
enum class KeyUsage : std::uint8_t {
  kEncryptDecrypt,
  kSignVerify,
  kGenerateVerifyMac,
  kKeyAgreement,
  kEncapsulateDecapsulate
};
enum class KeyOrigin : std::uint8_t { kAwsKms, kExternal, kAwsCloudHsm, kExternalKeyStore };
enum class KeyState : std::uint8_t {
  kCreating,
  kEnabled,
  kDisabled,
  kPendingDeletion,
  kPendingReplicaDeletion,
  kPendingImport,
  kUnavailable,
  kUpdating,
};

// The wire's names, which the store keeps too. parse_x is empty for a name that is none.
std::string_view to_string(KeySpec spec);
std::string_view to_string(KeyUsage usage);
std::string_view to_string(KeyOrigin origin);
std::string_view to_string(KeyState state);
std::optional<KeySpec> parse_key_spec(std::string_view text);
std::optional<KeyUsage> parse_key_usage(std::string_view text);
std::optional<KeyOrigin> parse_key_origin(std::string_view text);
std::optional<KeyState> parse_key_state(std::string_view text);

// SpecTraits: what a key of that spec may be for. The algorithm lists are in the order of DescribeKey's answer.
struct SpecTraits {
  KeySpec spec;
  std::string_view name;
  std::span<const KeyUsage> usages;
  std::span<const std::string_view> encryption_algorithms;
  std::span<const std::string_view> signing_algorithms;
  std::span<const std::string_view> key_agreement_algorithms;
  std::span<const std::string_view> mac_algorithms;
};
const SpecTraits& traits_of(KeySpec spec);
bool permits(KeySpec spec, KeyUsage usage);

// Realm: the account and region in which names of keys and aliases mean something.
struct Realm {
  std::string account;
  std::string region;
  auto operator<=>(const Realm&) const = default;
};

// MaterialId names one key material (backing key): 32 bytes, shown as 64 hexadecimal digits.
using MaterialId = std::array<std::uint8_t, 32>;

using Tags = std::vector<std::pair<std::string, std::string>>;

struct Key {
  Realm realm;
  std::string id;  // UUID, or `mrk-` and 32 digits
  KeySpec spec = KeySpec::kSymmetricDefault;
  KeyUsage usage = KeyUsage::kEncryptDecrypt;
  KeyOrigin origin = KeyOrigin::kAwsKms;
  KeyState state = KeyState::kEnabled;
  bool multi_region = false;
  std::string description;
  std::string policy;  // the text as it was given
  WallTime created;
  std::optional<WallTime> deletion_date;
  std::optional<std::int64_t> pending_window_days;
  std::optional<MaterialId> current_material;
  std::string primary_region;                        // of a multi-Region key; else empty
  std::optional<std::int64_t> rotation_period_days;  // set while automatic rotation is enabled
  std::optional<WallTime> next_rotation;
  std::int64_t on_demand_rotations = 0;

  // is_due is whether the waiting period before deletion is over.
  bool is_due(WallTime now) const {
    return state == KeyState::kPendingDeletion && deletion_date && *deletion_date <= now;
  }
  bool is_primary() const { return multi_region && primary_region == realm.region; }
  bool operator==(const Key&) const = default;
};

enum class RotationType : std::uint8_t { kNone, kAutomatic, kOnDemand };
std::string_view to_string(RotationType type);  // empty for kNone
std::optional<RotationType> parse_rotation_type(std::string_view text);

// Material is key material as it is stored: wrapped under the root key, never plain.
struct Material {
  MaterialId id{};
  std::uint32_t version = 1;                    // 1 for the first of a key, counting up with each rotation
  WallTime created;                             // when it became current, or was imported to become so
  Bytes wrapped;                                // empty for imported material that expired or was deleted
  RotationType rotation = RotationType::kNone;  // what made it current
  std::string description;                      // of imported material
  std::optional<WallTime> valid_to;             // of imported material that expires

  bool operator==(const Material&) const = default;
};

// LastUse is the last successful cryptographic operation with a key.
struct LastUse {
  std::string operation;
  WallTime time;
  std::string event_id;
  std::string request_id;

  bool operator==(const LastUse&) const = default;
};

struct Alias {
  std::string name;  // with its prefix: `alias/x`
  std::string key_id;
  WallTime created;
  WallTime updated;

  bool operator==(const Alias&) const = default;
};

}  // namespace casemate::kms
