// SPDX-License-Identifier: Apache-2.0
// Keys and their life: creation, description, lists, states.
#include <algorithm>

#include "base/encoding.h"
#include "kms/algorithms.h"
#include "kms/api/operations.h"
#include "kms/api/pages.h"

namespace casemate::kms::api {
namespace {

json::Object describe_regions(const KeyRecord& record) {
  const auto name_in = [&](const std::string& region) {
    return json::Object{{"Arn", key_arn({record.key.realm.account, region}, record.key.id)}, {"Region", region}};
  };
  json::Array replicas;
  for (const std::string& region : record.regions) {
    if (region != record.key.primary_region) replicas.emplace_back(name_in(region));
  }
  return json::Object{{"MultiRegionKeyType", record.key.is_primary() ? "PRIMARY" : "REPLICA"},
                      {"PrimaryKey", name_in(record.key.primary_region)},
                      {"ReplicaKeys", std::move(replicas)}};
}

struct Kind {
  KeySpec spec = KeySpec::kSymmetricDefault;
  KeyUsage usage = KeyUsage::kEncryptDecrypt;
  KeyOrigin origin = KeyOrigin::kAwsKms;
};

Outcome<Kind> read_kind(const Input& input) {
  const std::string* spec = input.text("KeySpec");
  const std::string* old_spec = input.text("CustomerMasterKeySpec");
  if (spec != nullptr && old_spec != nullptr) {
    return fault(FaultKind::kValidation,
                 "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is "
                 "deprecated.");
  }
  if (spec == nullptr) spec = old_spec;
  Kind kind;
  if (spec != nullptr) kind.spec = parse_key_spec(*spec).value_or(KeySpec::kSymmetricDefault);
  if (const std::string* usage = input.text("KeyUsage")) {
    kind.usage = parse_key_usage(*usage).value_or(KeyUsage::kEncryptDecrypt);
  } else if (kind.spec != KeySpec::kSymmetricDefault) {
    return fault(FaultKind::kValidation,
                 "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  if (!permits(kind.spec, kind.usage)) {
    return fault(FaultKind::kValidation, fmt::format("KeyUsage {} is not compatible with KeySpec {}",
                                                     to_string(kind.usage), to_string(kind.spec)));
  }
  kind.origin = parse_key_origin(input.text_or("Origin", "AWS_KMS")).value_or(KeyOrigin::kAwsKms);
  return kind;
}

Outcome<void> authorize_creation(Call& call, const Kind& kind, const Tags& tags) {
  iam::RequestContext& context = call.context();
  context.set("kms:KeySpec", to_string(kind.spec));
  context.set("kms:KeyUsage", to_string(kind.usage));
  context.set("kms:CustomerMasterKeySpec", to_string(kind.spec));
  context.set("kms:CustomerMasterKeyUsage", to_string(kind.usage));
  context.set("kms:KeyOrigin", to_string(kind.origin));
  context.set_bool("kms:MultiRegion", call.input().flag("MultiRegion"));
  if (call.input().flag("MultiRegion")) context.set("kms:MultiRegionKeyType", "PRIMARY");
  context.set_bool("kms:BypassPolicyLockoutSafetyCheck", call.input().flag("BypassPolicyLockoutSafetyCheck"));
  add_request_tags(context, tags);
  TRY(call.authorize_by_identity("CreateKey", "*"));
  if (!tags.empty()) TRY(call.authorize_by_identity("TagResource", "*"));
  return {};
}

// What this service has no machinery for is refused by name, never quietly made into something else.
Outcome<void> check_supported(const Input& input, const Kind& kind) {
  const bool stored_elsewhere = kind.origin == KeyOrigin::kAwsCloudHsm || kind.origin == KeyOrigin::kExternalKeyStore;
  if (stored_elsewhere || input.has("CustomKeyStoreId") || input.has("XksKeyId")) {
    return fault(FaultKind::kUnsupported,
                 "Custom key stores are not supported by this service: it keeps all keys in its own store.");
  }
  if (!is_available(kind.spec)) {
    return fault(
        FaultKind::kUnsupported,
        fmt::format("Keys of the spec {} need a cryptographic library with post-quantum algorithms, which this "
                    "service was built without.",
                    to_string(kind.spec)));
  }
  return {};
}

Outcome<Answer> change_enabled(Call& call, Keyring::Enable enable) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize(call.operation().name, located));
  TRY(call.require_state(StateRule::kEnable, *located.record));
  TRY(call.keyring().set_enabled(*located.record, enable));
  return Answer{};
}

}  // namespace

json::Object describe_key_record(const KeyRecord& record) {
  const Key& key = record.key;
  const SpecTraits& traits = traits_of(key.spec);
  json::Object out{{"AWSAccountId", key.realm.account},    {"Arn", record.arn},
                   {"CreationDate", seconds(key.created)}, {"CustomerMasterKeySpec", traits.name},
                   {"Description", key.description},       {"Enabled", key.state == KeyState::kEnabled}};
  if (key.current_material && key.spec == KeySpec::kSymmetricDefault)
    out.set("CurrentKeyMaterialId", encode_hex(*key.current_material));
  if (key.usage == KeyUsage::kEncryptDecrypt) out.set("EncryptionAlgorithms", strings(traits.encryption_algorithms));
  if (key.usage == KeyUsage::kSignVerify) out.set("SigningAlgorithms", strings(traits.signing_algorithms));
  if (key.usage == KeyUsage::kKeyAgreement) out.set("KeyAgreementAlgorithms", strings(traits.key_agreement_algorithms));
  if (key.usage == KeyUsage::kGenerateVerifyMac) out.set("MacAlgorithms", strings(traits.mac_algorithms));
  out.set("KeyId", key.id);
  out.set("KeyManager", "CUSTOMER");
  out.set("KeySpec", traits.name);
  out.set("KeyState", to_string(key.state));
  out.set("KeyUsage", to_string(key.usage));
  out.set("MultiRegion", key.multi_region);
  if (key.multi_region) out.set("MultiRegionConfiguration", describe_regions(record));
  out.set("Origin", to_string(key.origin));
  if (key.deletion_date) out.set("DeletionDate", seconds(*key.deletion_date));
  if (key.state == KeyState::kPendingReplicaDeletion && key.pending_window_days)
    out.set("PendingDeletionWindowInDays", *key.pending_window_days);
  if (const UsableMaterial* material = record.current_material();
      material != nullptr && key.origin == KeyOrigin::kExternal) {
    out.set("ExpirationModel", material->row.valid_to ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE");
    if (material->row.valid_to) out.set("ValidTo", seconds(*material->row.valid_to));
  }
  return out;
}

Outcome<Answer> create_key(Call& call) {
  const Kind kind = TRY(read_kind(call.input()));
  KeyDraft draft;
  draft.tags = TRY(read_tags(call.input()));
  TRY(authorize_creation(call, kind, draft.tags));
  TRY(check_supported(call.input(), kind));
  draft.spec = kind.spec;
  draft.usage = kind.usage;
  draft.origin = kind.origin;
  if (call.input().flag("MultiRegion")) draft.multi_region = MultiRegion::kYes;
  draft.description = call.input().text_or("Description", "");
  const std::string* policy = call.input().text("Policy");
  draft.policy =
      policy != nullptr ? *policy : iam::default_key_policy(call.realm().account, partition_of(call.realm().region));
  const iam::PolicyPtr parsed = TRY(check_key_policy(call, draft.policy));
  // The key has no name yet; its policy can only mean it by `*` or by a pattern.
  if (policy != nullptr) TRY(check_lock_out(call, parsed, key_arn(call.realm(), make_uuid(call.rng())), call.realm()));
  const KeyRecordPtr record = TRY(call.keyring().create_key(call.realm(), draft));
  if (record == nullptr) return silent_fault(FaultKind::kInternal, "the new key is not there");
  call.notes().resources.emplace_back(record->arn, record->key.realm.account);
  return Answer(json::Object{{"KeyMetadata", describe_key_record(*record)}});
}

Outcome<Answer> describe_key(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kYes));
  TRY(call.authorize("DescribeKey", located));
  return Answer(json::Object{{"KeyMetadata", describe_key_record(*located.record)}});
}

Outcome<Answer> list_keys(Call& call) {
  TRY(call.authorize_by_identity("ListKeys", "*"));
  const PageRequest page = TRY(read_page(call, 100, 1000));
  std::vector<std::string> ids = TRY(call.keyring().reader()->list_keys(call.realm(), page.after, page.limit + 1));
  const bool more = cut_page(ids, page);
  json::Array keys;
  for (const std::string& id : ids)
    keys.emplace_back(json::Object{{"KeyArn", key_arn(call.realm(), id)}, {"KeyId", id}});
  json::Object answer{{"Keys", std::move(keys)}};
  end_page(answer, more, ids.empty() ? std::string_view{} : ids.back());
  return Answer(std::move(answer));
}

Outcome<Answer> enable_key(Call& call) {
  return change_enabled(call, Keyring::Enable::kYes);
}

Outcome<Answer> disable_key(Call& call) {
  return change_enabled(call, Keyring::Enable::kNo);
}

Outcome<Answer> schedule_key_deletion(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  const std::int64_t days = call.input().integer("PendingWindowInDays").value_or(30);
  call.context().set_number("kms:ScheduleKeyDeletionPendingWindowInDays", days);
  TRY(call.authorize("ScheduleKeyDeletion", located));
  if (days < 7 || days > 30) {
    return fault(FaultKind::kValidation,
                 constraint_failure(fmt::format("Value '{}' at 'pendingWindowInDays'", days),
                                    days < 7 ? "Member must have value greater than or equal to 7"
                                             : "Member must have value less than or equal to 30"));
  }
  TRY(call.require_state(StateRule::kScheduleDeletion, *located.record));
  const Key after = TRY(call.keyring().schedule_deletion(*located.record, days));
  json::Object answer{
      {"KeyId", located.record->arn}, {"KeyState", to_string(after.state)}, {"PendingWindowInDays", days}};
  if (after.deletion_date) answer.set("DeletionDate", seconds(*after.deletion_date));
  return Answer(std::move(answer));
}

Outcome<Answer> cancel_key_deletion(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("CancelKeyDeletion", located));
  TRY(call.require_state(StateRule::kCancelDeletion, *located.record));
  TRY(call.keyring().cancel_deletion(*located.record));
  return Answer(json::Object{{"KeyId", located.record->arn}});
}

Outcome<Answer> update_key_description(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("UpdateKeyDescription", located));
  TRY(call.require_state(StateRule::kAlter, *located.record));
  TRY(call.keyring().set_description(*located.record, *call.input().text("Description")));
  return Answer{};
}

Outcome<Answer> get_key_last_usage(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize("GetKeyLastUsage", located));
  const KeyRecord& record = *located.record;
  // Uses are tracked from the first moment of a key's life.
  json::Object answer{{"KeyCreationDate", seconds(record.key.created)},
                      {"KeyId", record.arn},
                      {"TrackingStartDate", seconds(record.key.created)}};
  json::Object usage;
  if (const auto use = TRY(call.keyring().find_last_use(record.name()))) {
    usage = {{"CloudTrailEventId", use->event_id},
             {"KmsRequestId", use->request_id},
             {"Operation", use->operation},
             {"Timestamp", seconds(use->time)}};
  }
  answer.set("KeyLastUsage", std::move(usage));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
