// SPDX-License-Identifier: Apache-2.0
// Import of key material: parameters, import, deletion.
#include "base/encoding.h"
#include "kms/algorithms.h"
#include "kms/api/operations.h"
#include "kms/import_token.h"

namespace casemate::kms::api {
namespace {

constexpr std::chrono::hours kTokenLife{24};
constexpr std::chrono::days kLongestLife{365};

Outcome<Located> locate_imported(Call& call) {
  Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize(call.operation().name, located));
  const KeyRecord& record = *located.record;
  if (record.key.origin != KeyOrigin::kExternal) {
    return fault(FaultKind::kUnsupported, fmt::format("{} origin is {} which is not valid for this operation.",
                                                      record.arn, to_string(record.key.origin)));
  }
  return located;
}

Outcome<std::optional<WallTime>> read_expiry(const Call& call) {
  const std::string_view model = call.input().text_or("ExpirationModel", "KEY_MATERIAL_EXPIRES");
  const auto valid_to = call.input().time("ValidTo");
  if (model != "KEY_MATERIAL_EXPIRES") {
    if (!valid_to) return std::optional<WallTime>{};
    return fault(FaultKind::kValidation,
                 "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE");
  }
  if (!valid_to) {
    return fault(FaultKind::kValidation, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
  }
  if (*valid_to <= call.now() || *valid_to > call.now() + kLongestLife) {
    return fault(FaultKind::kValidation, "The validTo date must be in the future and at most 365 days away.");
  }
  return valid_to;
}

Outcome<Secret> check_material(KeySpec spec, const Secret& material) {
  if (const auto kind = key_kind(spec)) {
    auto pair = crypto::PrivateKey::parse_pkcs8(*kind, material, crypto::PrivateKey::Check::kPair);
    if (!pair.ok()) {
      Fault refused =
          fault(FaultKind::kIncorrectKeyMaterial,
                fmt::format("The key material is not a PKCS#8 private key of the spec {}.", to_string(spec)));
      refused.detail = pair.error().message();
      return refused;
    }
    return pair->pkcs8();
  }
  if (material.size() != secret_length(spec)) {
    return fault(FaultKind::kIncorrectKeyMaterial, fmt::format("The key material has {} bytes, keys of the spec {} {}.",
                                                               material.size(), to_string(spec), secret_length(spec)));
  }
  return material.clone();
}

// read_material_id: the pattern of the member allows nothing but hexadecimal digits.
Outcome<std::optional<MaterialId>> read_material_id(const Input& input) {
  const std::string* text = input.text("KeyMaterialId");
  if (text == nullptr) return std::optional<MaterialId>{};
  const auto bytes = decode_hex(*text);
  MaterialId id{};
  if (!bytes.ok() || bytes->size() != id.size()) return fault(FaultKind::kValidation, "Invalid key material id");
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return std::optional<MaterialId>(id);
}

Outcome<ImportToken> read_token(const Call& call, const KeyRecord& record) {
  auto token = open_import_token(call.keyring().root(), call.input().blob("ImportToken")->expose());
  if (!token.ok()) return silent_fault(FaultKind::kInvalidImportToken, token.error().message());
  if (token->key_arn != record.arn) return silent_fault(FaultKind::kInvalidImportToken, "of another key");
  if (call.now() >= token->expires) return silent_fault(FaultKind::kExpiredImportToken);
  return token.take();
}

}  // namespace

Outcome<Answer> get_parameters_for_import(Call& call) {
  const std::string& algorithm = *call.input().text("WrappingAlgorithm");
  const std::string& spec = *call.input().text("WrappingKeySpec");
  call.context().set("kms:WrappingAlgorithm", algorithm);
  call.context().set("kms:WrappingKeySpec", spec);
  const Located located = TRY(locate_imported(call));
  const KeyRecord& record = *located.record;
  TRY(call.require_state(StateRule::kImport, record));
  const auto kind = wrapping_kind(algorithm, spec);
  if (!kind) {
    return fault(FaultKind::kValidation,
                 fmt::format("Algorithm {} is incompatible with wrapping key spec {}.", algorithm, spec));
  }
  if (algorithm == "RSAES_PKCS1_V1_5" && record.key.spec != KeySpec::kSymmetricDefault) {
    return fault(FaultKind::kValidation,
                 fmt::format("Algorithm {} is incompatible with key spec {}.", algorithm, to_string(record.key.spec)));
  }
  ImportToken token{record.arn, algorithm, call.now() + kTokenLife, TRY(crypto::PrivateKey::generate(*kind))};
  return Answer(
      json::Object{{"ImportToken", encode_base64(seal_import_token(call.keyring().root(), token, call.rng()))},
                   {"KeyId", record.arn},
                   {"ParametersValidTo", seconds(token.expires)},
                   {"PublicKey", encode_base64(token.pair.public_key().spki())}});
}

Outcome<Answer> import_key_material(Call& call) {
  const Input& input = call.input();
  call.context().set("kms:ExpirationModel", input.text_or("ExpirationModel", "KEY_MATERIAL_EXPIRES"));
  if (const auto valid_to = input.time("ValidTo")) call.context().set_time("kms:ValidTo", *valid_to);
  const Located located = TRY(locate_imported(call));
  const KeyRecord& record = *located.record;
  TRY(call.require_state(StateRule::kImport, record));
  ImportDraft draft;
  draft.valid_to = TRY(read_expiry(call));
  draft.expected = TRY(read_material_id(input));
  if (const std::string* type = input.text("ImportType"))
    draft.type = *type == "NEW_KEY_MATERIAL" ? ImportDraft::Type::kNew : ImportDraft::Type::kExisting;
  if (const std::string* description = input.text("KeyMaterialDescription")) draft.description = *description;
  const ImportToken token = TRY(read_token(call, record));
  const auto unwrapped = unwrap_import(token, input.blob("EncryptedKeyMaterial")->expose());
  if (!unwrapped.ok()) return silent_fault(FaultKind::kInvalidCiphertext, unwrapped.error().message());
  draft.secret = TRY(check_material(record.key.spec, *unwrapped));
  const MaterialId id = TRY(call.keyring().import_material(record, draft));
  return Answer(json::Object{{"KeyId", record.arn}, {"KeyMaterialId", encode_hex(id)}});
}

Outcome<Answer> delete_imported_key_material(Call& call) {
  const auto id = TRY(read_material_id(call.input()));
  const Located located = TRY(locate_imported(call));
  const bool any = !located.record->materials.empty();
  const MaterialId deleted = TRY(call.keyring().delete_material(*located.record, id));
  json::Object answer{{"KeyId", located.record->arn}};
  if (any) answer.set("KeyMaterialId", encode_hex(deleted));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
