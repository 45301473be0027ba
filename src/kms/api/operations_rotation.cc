// SPDX-License-Identifier: Apache-2.0
// Rotation of key material: automatic, on demand, and its history.
#include "base/encoding.h"
#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

enum class Imported { kRefuse, kAllow };

Fault not_primary(const KeyRecord& record) {
  return fault(FaultKind::kUnsupported, fmt::format("{} is not a multi-region primary key.", record.arn));
}

// Only symmetric keys rotate; of several regions the primary decides.
Outcome<void> require_rotatable(const KeyRecord& record, Imported imported) {
  if (record.key.spec != KeySpec::kSymmetricDefault)
    return silent_fault(FaultKind::kUnsupported, "only symmetric encryption keys rotate");
  if (imported == Imported::kRefuse && record.key.origin != KeyOrigin::kAwsKms) {
    return fault(FaultKind::kUnsupported, fmt::format("{} origin is {} which is not valid for this operation.",
                                                      record.arn, to_string(record.key.origin)));
  }
  return {};
}

Outcome<Located> locate_to_rotate(Call& call, Imported imported) {
  Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize(call.operation().name, located));
  TRY(require_rotatable(*located.record, imported));
  if (located.record->key.multi_region && !located.record->key.is_primary()) return not_primary(*located.record);
  TRY(call.require_state(StateRule::kRotate, *located.record));
  return located;
}

std::string_view state_of(const KeyRecord& record, const UsableMaterial& material) {
  if (record.key.current_material == material.id) return "CURRENT";
  std::uint32_t current = 0;
  for (const UsableMaterial& other : record.materials) {
    if (record.key.current_material == other.id) current = other.version;
  }
  return material.version > current ? "PENDING_ROTATION" : "NON_CURRENT";
}

json::Object describe(const KeyRecord& record, const UsableMaterial& material) {
  json::Object out{{"KeyId", record.arn},
                   {"KeyMaterialId", encode_hex(material.id)},
                   {"KeyMaterialState", state_of(record, material)}};
  if (record.key.origin == KeyOrigin::kExternal) {
    out.set("ImportState", material.is_present() ? "IMPORTED" : "PENDING_IMPORT");
    if (!material.row.description.empty()) out.set("KeyMaterialDescription", material.row.description);
    if (material.is_present()) {
      out.set("ExpirationModel", material.row.valid_to ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE");
      if (material.row.valid_to) out.set("ValidTo", seconds(*material.row.valid_to));
    }
  }
  if (material.row.rotation != RotationType::kNone) {
    out.set("RotationDate", seconds(material.row.created));
    out.set("RotationType", to_string(material.row.rotation));
  }
  return out;
}

}  // namespace

Outcome<Answer> enable_key_rotation(Call& call) {
  const std::int64_t days = call.input().integer("RotationPeriodInDays").value_or(365);
  call.context().set_number("kms:RotationPeriodInDays", days);
  const Located located = TRY(locate_to_rotate(call, Imported::kRefuse));
  TRY(call.keyring().enable_rotation(*located.record, days));
  return Answer{};
}

Outcome<Answer> disable_key_rotation(Call& call) {
  const Located located = TRY(locate_to_rotate(call, Imported::kRefuse));
  TRY(call.keyring().disable_rotation(*located.record));
  return Answer{};
}

Outcome<Answer> get_key_rotation_status(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("GetKeyRotationStatus", located));
  const KeyRecord& record = *located.record;
  TRY(require_rotatable(record, Imported::kRefuse));
  const Key& key = record.key;
  json::Object answer{{"KeyId", record.arn}, {"KeyRotationEnabled", key.rotation_period_days.has_value()}};
  if (key.rotation_period_days) answer.set("RotationPeriodInDays", *key.rotation_period_days);
  if (key.next_rotation) answer.set("NextRotationDate", seconds(*key.next_rotation));
  return Answer(std::move(answer));
}

Outcome<Answer> rotate_key_on_demand(Call& call) {
  const Located located = TRY(locate_to_rotate(call, Imported::kAllow));
  TRY(call.keyring().rotate_on_demand(*located.record));
  return Answer(json::Object{{"KeyId", located.record->arn}});
}

Outcome<Answer> list_key_rotations(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("ListKeyRotations", located));
  const KeyRecord& record = *located.record;
  TRY(require_rotatable(record, Imported::kAllow));
  const PageRequest page = TRY(read_page(call, 100, 1000));
  const bool all = call.input().text_or("IncludeKeyMaterial", "ROTATIONS_ONLY") == "ALL_KEY_MATERIAL";
  // Markers are versions, of one width so that they order as numbers do.
  std::vector<const UsableMaterial*> shown;
  const auto marker = [](const UsableMaterial& material) { return fmt::format("{:010}", material.version); };
  for (const UsableMaterial& material : record.materials) {
    const bool counts = all || material.row.rotation != RotationType::kNone;
    if (counts && marker(material) > page.after && shown.size() <= page.limit) shown.push_back(&material);
  }
  const bool more = cut_page(shown, page);
  json::Array rotations;
  for (const UsableMaterial* material : shown) rotations.emplace_back(describe(record, *material));
  json::Object answer{{"Rotations", std::move(rotations)}};
  end_page(answer, more, shown.empty() ? std::string{} : marker(*shown.back()));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
