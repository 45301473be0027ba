// SPDX-License-Identifier: Apache-2.0
// The operations of KMS: the table of all, and their handlers.
#pragma once

#include "kms/api/call.h"

namespace casemate::kms::api {

// find_operation gives null for a name that KMS does not know.
const Operation* find_operation(std::string_view name);
std::span<const Operation> all_operations();

// Keys and their life
Outcome<Answer> create_key(Call& call);
Outcome<Answer> describe_key(Call& call);
Outcome<Answer> list_keys(Call& call);
Outcome<Answer> enable_key(Call& call);
Outcome<Answer> disable_key(Call& call);
Outcome<Answer> schedule_key_deletion(Call& call);
Outcome<Answer> cancel_key_deletion(Call& call);
Outcome<Answer> update_key_description(Call& call);
Outcome<Answer> get_key_last_usage(Call& call);
Outcome<Answer> tag_resource(Call& call);
Outcome<Answer> untag_resource(Call& call);
Outcome<Answer> list_resource_tags(Call& call);

// Rotation, imported material, regions
Outcome<Answer> enable_key_rotation(Call& call);
Outcome<Answer> disable_key_rotation(Call& call);
Outcome<Answer> get_key_rotation_status(Call& call);
Outcome<Answer> rotate_key_on_demand(Call& call);
Outcome<Answer> list_key_rotations(Call& call);
Outcome<Answer> get_parameters_for_import(Call& call);
Outcome<Answer> import_key_material(Call& call);
Outcome<Answer> delete_imported_key_material(Call& call);
Outcome<Answer> replicate_key(Call& call);
Outcome<Answer> update_primary_region(Call& call);

// Grants
Outcome<Answer> create_grant(Call& call);
Outcome<Answer> list_grants(Call& call);
Outcome<Answer> list_retirable_grants(Call& call);
Outcome<Answer> retire_grant(Call& call);
Outcome<Answer> revoke_grant(Call& call);

// Refused by name
Outcome<Answer> refuse_custom_key_store(Call& call);
Outcome<Answer> refuse_encapsulation(Call& call);

// Aliases
Outcome<Answer> create_alias(Call& call);
Outcome<Answer> update_alias(Call& call);
Outcome<Answer> delete_alias(Call& call);
Outcome<Answer> list_aliases(Call& call);

// Policies
Outcome<Answer> get_key_policy(Call& call);
Outcome<Answer> put_key_policy(Call& call);
Outcome<Answer> list_key_policies(Call& call);

// Cryptography
Outcome<Answer> encrypt(Call& call);
Outcome<Answer> decrypt(Call& call);
Outcome<Answer> re_encrypt(Call& call);
Outcome<Answer> generate_data_key(Call& call);
Outcome<Answer> generate_data_key_without_plaintext(Call& call);
Outcome<Answer> generate_data_key_pair(Call& call);
Outcome<Answer> generate_data_key_pair_without_plaintext(Call& call);
Outcome<Answer> generate_random(Call& call);
Outcome<Answer> sign(Call& call);
Outcome<Answer> verify(Call& call);
Outcome<Answer> get_public_key(Call& call);
Outcome<Answer> derive_shared_secret(Call& call);
Outcome<Answer> generate_mac(Call& call);
Outcome<Answer> verify_mac(Call& call);

// Shared by handlers

// check_key_policy makes the checks of CreateKey and PutKeyPolicy but for the lock-out.
Outcome<iam::PolicyPtr> check_key_policy(const Call& call, std::string_view text);
// check_lock_out refuses a policy that the caller could never change again, unless the request bypasses the check.
Outcome<void> check_lock_out(Call& call, const iam::PolicyPtr& policy, std::string_view key_arn, const Realm& owner);

// describe_key_record is KeyMetadata.
json::Object describe_key_record(const KeyRecord& record);

// read_tags gives the member Tags. Faults: Tag (duplicates, reserved names, too many).
Outcome<Tags> read_tags(const Input& input);
void add_request_tags(iam::RequestContext& context, const Tags& tags);
json::Array tags_to_json(const Tags& tags);

json::Value seconds(WallTime time);
// strings is a JSON array of them.
json::Array strings(std::span<const std::string_view> values);

}  // namespace casemate::kms::api
