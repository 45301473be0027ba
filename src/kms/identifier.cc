// SPDX-License-Identifier: Apache-2.0
#include "kms/identifier.h"

#include <algorithm>

#include "base/encoding.h"
#include "iam/arn.h"

namespace casemate::kms {
namespace {

constexpr std::string_view kAliasPrefix = "alias/";

bool is_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_lower_hex(text.substr(i, 1))) return false;
  }
  return true;
}

bool is_alias_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '/' ||
         c == '_' || c == '-';
}

Fault invalid_key_id(std::string_view text) {
  return fault(FaultKind::kNotFound, fmt::format("Invalid keyId '{}'", text));
}

Outcome<KeyReference> parse_reference_arn(std::string_view text, const Realm& endpoint, AllowAlias allow_alias) {
  const auto arn = iam::parse_arn(text);
  if (!arn.ok() || arn->service != "kms") return fault(FaultKind::kInvalidArn, fmt::format("Invalid arn {}", text));
  if (arn->partition != partition_of(endpoint.region) || arn->region != endpoint.region) {
    return fault(FaultKind::kNotFound, fmt::format("Invalid arn {}", arn->region));
  }
  KeyReference reference;
  reference.realm = {std::string(arn->account), std::string(arn->region)};
  if (arn->resource.starts_with("key/")) {
    reference.name = arn->resource.substr(4);
    if (!is_key_id(reference.name)) return invalid_key_id(reference.name);
    return reference;
  }
  if (arn->resource.starts_with(kAliasPrefix) && allow_alias == AllowAlias::kYes) {
    reference.kind = KeyReference::Kind::kAlias;
    reference.name = arn->resource;
    return reference;
  }
  return fault(FaultKind::kInvalidArn, fmt::format("Invalid arn {}", text));
}

}  // namespace

std::string_view partition_of(std::string_view region) {
  if (region.starts_with("cn-")) return "aws-cn";
  if (region.starts_with("us-gov-")) return "aws-us-gov";
  if (region.starts_with("eusc-")) return "aws-eusc";
  return "aws";
}

std::string key_arn(const Realm& realm, std::string_view key_id) {
  return fmt::format("arn:{}:kms:{}:{}:key/{}", partition_of(realm.region), realm.region, realm.account, key_id);
}

std::string alias_arn(const Realm& realm, std::string_view alias_name) {
  return fmt::format("arn:{}:kms:{}:{}:{}", partition_of(realm.region), realm.region, realm.account, alias_name);
}

bool is_key_id(std::string_view text) {
  if (text.starts_with("mrk-")) return text.size() == 36 && is_lower_hex(text.substr(4));
  return is_uuid(text);
}

std::string make_uuid(Rng& rng) {
  std::array<std::uint8_t, 16> bytes;
  rng.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text = encode_hex(bytes);
  for (const std::size_t dash : {std::size_t{8}, std::size_t{13}, std::size_t{18}, std::size_t{23}})
    text.insert(dash, 1, '-');
  return text;
}

Outcome<KeyReference> parse_key_reference(std::string_view text, const Realm& endpoint, AllowAlias allow_alias) {
  if (text.starts_with("arn:")) return parse_reference_arn(text, endpoint, allow_alias);
  KeyReference reference;
  reference.realm = endpoint;
  reference.name = text;
  if (text.starts_with(kAliasPrefix) && allow_alias == AllowAlias::kYes) {
    reference.kind = KeyReference::Kind::kAlias;
    return reference;
  }
  if (!is_key_id(text)) return invalid_key_id(text);
  return reference;
}

Fault key_not_found(const KeyReference& reference) {
  if (reference.kind == KeyReference::Kind::kAlias) {
    return fault(FaultKind::kNotFound,
                 fmt::format("Alias {} is not found.", alias_arn(reference.realm, reference.name)));
  }
  return fault(FaultKind::kNotFound, fmt::format("Key '{}' does not exist", key_arn(reference.realm, reference.name)));
}

Outcome<void> check_alias_name(std::string_view name) {
  if (!name.starts_with(kAliasPrefix)) {
    return fault(FaultKind::kValidation,
                 "Alias must start with the prefix \"alias/\". Please see "
                 "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
  }
  if (name == kAliasPrefix) return fault(FaultKind::kValidation, "Invalid identifier");
  if (!std::all_of(name.begin(), name.end(), is_alias_character)) {
    return fault(FaultKind::kValidation, fmt::format("{} contains invalid characters for an alias", name));
  }
  if (name.starts_with("alias/aws/")) return silent_fault(FaultKind::kNotAuthorized, "alias/aws/ is reserved");
  return {};
}

}  // namespace casemate::kms
