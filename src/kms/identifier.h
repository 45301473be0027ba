// SPDX-License-Identifier: Apache-2.0
// The forms in which requests name keys and aliases, and KMS's answers to those that name nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "kms/fault.h"
#include "kms/key.h"

namespace casemate::kms {

// partition_of is `aws`, `aws-cn`, `aws-us-gov` or `aws-eusc`, by the region's prefix.
std::string_view partition_of(std::string_view region);

std::string key_arn(const Realm& realm, std::string_view key_id);
std::string alias_arn(const Realm& realm, std::string_view alias_name);  // `alias_name` with its prefix

// is_key_id: a UUID in lower case, or `mrk-` and 32 hexadecimal digits.
bool is_key_id(std::string_view text);

// make_uuid gives a random UUID (RFC 4122, 4.4).
std::string make_uuid(Rng& rng);

// KeyReference: what a KeyId member names. `name` is a key id, or an alias name with its prefix.
struct KeyReference {
  enum class Kind { kKey, kAlias };
  Kind kind = Kind::kKey;
  Realm realm;
  std::string name;
};

enum class AllowAlias { kNo, kYes };

// parse_key_reference reads a key id, key ARN, alias name or alias ARN. Faults: NotFound (`Invalid keyId 'x'`, `Invalid
// arn REGION` for another region's), InvalidArn. Management operations take no aliases.
Outcome<KeyReference> parse_key_reference(std::string_view text, const Realm& endpoint, AllowAlias allow_alias);

// key_not_found is the answer to a reference that names nothing.
Fault key_not_found(const KeyReference& reference);

// check_alias_name is for alias operations: prefix, characters, not reserved. Faults: Validation, InvalidAliasName,
// NotAuthorized (`alias/aws/`).
Outcome<void> check_alias_name(std::string_view name);

}  // namespace casemate::kms
