// SPDX-License-Identifier: Apache-2.0
// Multi-Region keys: one key in several regions of the store, with the same id and the same material.
#include <algorithm>

#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

Outcome<Located> locate_primary(Call& call) {
  Located located = TRY(call.locate("KeyId", AllowAlias::kNo));
  TRY(call.authorize(call.operation().name, located));
  const KeyRecord& record = *located.record;
  if (!record.key.is_primary())
    return fault(FaultKind::kUnsupported, fmt::format("{} is not a multi-region primary key.", record.arn));
  TRY(call.require_state(StateRule::kReplicate, record));
  return located;
}

}  // namespace

Outcome<Answer> replicate_key(Call& call) {
  const std::string& region = *call.input().text("ReplicaRegion");
  call.context().set("kms:ReplicaRegion", region);
  KeyDraft draft;
  draft.tags = TRY(read_tags(call.input()));
  const Located located = TRY(locate_primary(call));
  const KeyRecord& primary = *located.record;
  const auto& regions = call.options().regions;
  if (std::find(regions.begin(), regions.end(), region) == regions.end()) {
    return fault(FaultKind::kUnsupported, fmt::format("The Region {} is not served by this service.", region));
  }
  const Realm realm{primary.key.realm.account, region};
  add_request_tags(call.context(), draft.tags);
  TRY(call.authorize_by_identity("CreateKey", "*"));
  if (!draft.tags.empty()) TRY(call.authorize_by_identity("TagResource", "*"));
  draft.description = call.input().text_or("Description", "");
  const std::string* policy = call.input().text("Policy");
  draft.policy = policy != nullptr ? *policy : iam::default_key_policy(realm.account, partition_of(region));
  const iam::PolicyPtr parsed = TRY(check_key_policy(call, draft.policy));
  if (policy != nullptr) TRY(check_lock_out(call, parsed, key_arn(realm, primary.key.id), realm));
  const KeyRecordPtr replica = TRY(call.keyring().replicate(primary, region, draft));
  if (replica == nullptr) return silent_fault(FaultKind::kInternal, "the new replica is not there");
  json::Object metadata = describe_key_record(*replica);
  // The service answers before it has copied the material; clients wait for DescribeKey to say Enabled.
  metadata.set("Enabled", false);
  metadata.set("KeyState", to_string(KeyState::kCreating));
  return Answer(json::Object{{"ReplicaKeyMetadata", std::move(metadata)},
                             {"ReplicaPolicy", draft.policy},
                             {"ReplicaTags", tags_to_json(draft.tags)}});
}

Outcome<Answer> update_primary_region(Call& call) {
  const std::string& region = *call.input().text("PrimaryRegion");
  call.context().set("kms:PrimaryRegion", region);
  const Located located = TRY(locate_primary(call));
  const KeyRecord& record = *located.record;
  if (std::find(record.regions.begin(), record.regions.end(), region) == record.regions.end())
    return key_not_found({KeyReference::Kind::kKey, {record.key.realm.account, region}, record.key.id});
  TRY(call.keyring().set_primary_region(record, region));
  return Answer{};
}

}  // namespace casemate::kms::api
