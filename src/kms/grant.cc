// SPDX-License-Identifier: Apache-2.0
#include "kms/grant.h"

#include <algorithm>

#include "json/value.h"

namespace casemate::kms {
namespace {

using std::string_view;

bool among(std::span<const string_view> names, string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool contains_all(const iam::EncryptionContext& outer, const iam::EncryptionContext& inner) {
  return std::all_of(inner.begin(), inner.end(),
                     [&](const auto& pair) { return std::find(outer.begin(), outer.end(), pair) != outer.end(); });
}

json::Object to_json(const iam::EncryptionContext& context) {
  json::Object out;
  for (const auto& [name, value] : context) out.append(name, value);
  return out;
}

Result<std::optional<iam::EncryptionContext>> read_context(const json::Value& constraints, string_view member) {
  const json::Value* value = constraints.find(member);
  if (value == nullptr) return std::optional<iam::EncryptionContext>{};
  const json::Object* object = value->if_object();
  if (object == nullptr) return malformed("grant constraints: {}", member);
  iam::EncryptionContext context;
  for (const auto& [name, entry] : *object) {
    const std::string* text = entry.if_string();
    if (text == nullptr) return malformed("grant constraints: {}", member);
    context.emplace_back(name, *text);
  }
  return std::optional(std::move(context));
}

}  // namespace

bool is_service_principal(string_view principal) {
  return !principal.empty() && !principal.starts_with("arn:");
}

std::string encode_operations(const std::vector<std::string>& operations) {
  std::string out;
  for (const std::string& operation : operations) {
    if (!out.empty()) out += ',';
    out += operation;
  }
  return out;
}

std::vector<std::string> parse_operations(string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

std::string encode_constraints(const GrantConstraints& constraints) {
  if (constraints.empty()) return {};
  json::Object out;
  if (constraints.equals) out.set("equals", to_json(*constraints.equals));
  if (constraints.subset) out.set("subset", to_json(*constraints.subset));
  if (!constraints.source_arn.empty()) out.set("source_arn", constraints.source_arn);
  return json::encode(out);
}

Result<GrantConstraints> parse_constraints(string_view text) {
  GrantConstraints out;
  if (text.empty()) return out;
  const json::Value value = TRY(json::parse(text));
  out.equals = TRY(read_context(value, "equals"));
  out.subset = TRY(read_context(value, "subset"));
  if (const std::string* arn = value.string_at("source_arn")) out.source_arn = *arn;
  return out;
}

bool within(const Grant& inner, const Grant& outer) {
  for (const std::string& operation : inner.operations) {
    if (std::find(outer.operations.begin(), outer.operations.end(), operation) == outer.operations.end()) return false;
  }
  if (outer.constraints.source_arn != inner.constraints.source_arn && !outer.constraints.source_arn.empty())
    return false;
  const auto& inner_pairs = inner.constraints.equals ? inner.constraints.equals : inner.constraints.subset;
  if (outer.constraints.subset && (!inner_pairs || !contains_all(*inner_pairs, *outer.constraints.subset)))
    return false;
  if (outer.constraints.equals) {
    const auto& equals = inner.constraints.equals;
    if (!equals || !contains_all(*equals, *outer.constraints.equals) ||
        !contains_all(*outer.constraints.equals, *equals)) {
      return false;
    }
  }
  return true;
}

bool suits(KeySpec spec, KeyUsage usage, string_view operation) {
  static constexpr string_view kAny[] = {"CreateGrant", "RetireGrant", "DescribeKey"};
  static constexpr string_view kEncryption[] = {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"};
  static constexpr string_view kDataKeys[] = {"GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
                                              "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"};
  static constexpr string_view kSigning[] = {"Sign", "Verify"};
  static constexpr string_view kMacs[] = {"GenerateMac", "VerifyMac"};
  static constexpr string_view kAgreement[] = {"DeriveSharedSecret"};
  static constexpr string_view kEncapsulation[] = {"Encapsulate", "Decapsulate"};
  if (among(kAny, operation)) return true;
  const bool pair = spec != KeySpec::kSymmetricDefault && usage != KeyUsage::kGenerateVerifyMac;
  if (operation == "GetPublicKey") return pair;
  switch (usage) {
    case KeyUsage::kEncryptDecrypt:
      return among(kEncryption, operation) || (!pair && among(kDataKeys, operation));
    case KeyUsage::kSignVerify:
      return among(kSigning, operation);
    case KeyUsage::kGenerateVerifyMac:
      return among(kMacs, operation);
    case KeyUsage::kKeyAgreement:
      return among(kAgreement, operation);
    case KeyUsage::kEncapsulateDecapsulate:
      return among(kEncapsulation, operation);
  }
  CASEMATE_CHECK(false);
}

}  // namespace casemate::kms
