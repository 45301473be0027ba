// SPDX-License-Identifier: Apache-2.0
// Shapes of requests as compact tables, and their one reader: types, required members, and constraint failures in the
// words of the service's framework.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "json/value.h"
#include "kms/fault.h"

namespace casemate::kms::api {

enum class Type : std::uint8_t {
  kString,
  kBlob,  // base64 on the wire, a Secret here
  kInteger,
  kBoolean,
  kTimestamp,  // seconds since 1970
  kStringMap,
  kStringList,     // `least` and `most` bound the list, `item` each string
  kStructure,      // `members`
  kStructureList,  // a list of `members`
};

enum class Presence : std::uint8_t { kOptional, kRequired };
enum class Sensitivity : std::uint8_t { kPublic, kSensitive };

struct Pattern {
  std::string_view text;  // as messages show it
  bool (*matches)(std::string_view);
};

inline constexpr std::int64_t kUnbounded = INT64_MAX;

struct Member {
  std::string_view name = {};
  Type type = Type::kString;
  Presence presence = Presence::kOptional;
  // Of length for strings, blobs and lists; of value for integers.
  std::int64_t least = 0;
  std::int64_t most = kUnbounded;
  std::span<const std::string_view> values = {};  // of an enumeration
  const Pattern* pattern = nullptr;
  const Member* item = nullptr;
  std::span<const Member> members = {};
  Sensitivity sensitivity = Sensitivity::kPublic;
};

// Input is a request that fits its shape. Members that the shape does not know are dropped, nulls are absent.
class Input {
 public:
  const std::string* text(std::string_view name) const;
  std::string_view text_or(std::string_view name, std::string_view otherwise) const;
  std::optional<std::int64_t> integer(std::string_view name) const;
  bool flag(std::string_view name) const;  // false when absent
  const Secret* blob(std::string_view name) const;
  std::optional<WallTime> time(std::string_view name) const;
  const Input* structure(std::string_view name) const;
  const std::vector<Input>* structures(std::string_view name) const;
  const std::vector<std::string>* texts(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>* map(std::string_view name) const;
  bool has(std::string_view name) const;

  // parameters is what an audit event may show: no blobs, nothing sensitive, names in lower camel case.
  json::Object parameters() const;

 private:
  friend class Reader;
  struct Field {
    const Member* member = nullptr;
    json::Value value;  // strings, numbers, booleans
    Secret blob;
    std::vector<Input> structures;
    std::vector<std::string> texts;
    std::vector<std::pair<std::string, std::string>> map;
  };
  const Field* find(std::string_view name) const;
  std::vector<Field> fields_;
};

// read_input reads a JSON request. Faults: Serialization (not JSON, not an object, wrong types, bad base64), Validation
// (`1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null`).
Outcome<Input> read_input(std::string_view body, std::span<const Member> members);

// constraint_failure is the text of one failure that only the service can find.
std::string constraint_failure(std::string_view value_and_path, std::string_view constraint);

// lower_camel gives the name that messages and audit events use: `keyId`, `awsAccountId`.
std::string lower_camel(std::string_view name);

}  // namespace casemate::kms::api
