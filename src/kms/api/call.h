// SPDX-License-Identifier: Apache-2.0
// Call: one authenticated request on its way through an operation: what it asks, who asks, and what will be written of
// it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/verify.h"
#include "crypto/rsa.h"
#include "iam/trace.h"
#include "kms/api/recipient_keys.h"
#include "kms/api/service.h"
#include "kms/api/shape.h"
#include "kms/ciphertext.h"
#include "kms/state.h"

namespace casemate::kms::api {

// Answer is absent for operations that answer with an empty body.
using Answer = std::optional<json::Object>;

class Call;

struct Operation {
  std::string_view name;
  std::span<const Member> members;
  Outcome<Answer> (*handler)(Call&);
  bool read_only = false;  // as CloudTrail marks it
  bool quick = false;      // neither waits for the disk nor computes for long
};

// Recipient is who an answer is encrypted to: made from a verified document only.
struct Recipient {
  attestation::VerifiedDocument document;
  crypto::RsaPublicKey key;
};

// Notes are the parts of an audit event that an operation finds out.
struct Notes {
  std::vector<std::pair<std::string, std::string>> resources;  // ARN and account
  std::optional<json::Value> recipient;
  std::optional<json::Value> decision;
  std::string grant_id;       // of the grant that allowed
  std::vector<KeyName> used;  // keys that the operation used for cryptography
};

struct Environment {
  ServiceParts& parts;
  const ServiceOptions& options;
  attestation::ChainCache& chains;
  RecipientKeys& recipient_keys;
  Rng& published;
};

class Call {
 public:
  Call(Environment environment, const Operation& operation, Input input, iam::CallerPtr caller, Realm realm,
       iam::RequestContext context, WallTime now);

  const Input& input() const { return input_; }
  const iam::Caller& caller() const { return *caller_; }
  const Realm& realm() const { return realm_; }
  WallTime now() const { return now_; }
  Keyring& keyring() const { return environment_.parts.keyring; }
  Rng& rng() const { return environment_.parts.rng; }
  // published_rng is for what is no secret: identifiers, salts, nonces.
  Rng& published_rng() const { return environment_.published; }
  const ServiceOptions& options() const { return environment_.options; }
  const Operation& operation() const { return operation_; }
  // context holds the condition keys of the request; operations add theirs before they authorize.
  iam::RequestContext& context() { return context_; }
  Notes& notes() { return notes_; }
  const Notes& notes() const { return notes_; }

  // locate finds the key that a member names.
  Outcome<Located> locate(std::string_view member, AllowAlias allow_alias);

  // authorize decides on a key; identity policies alone decide on what has no resource policy. A refusal leaves its
  // trace in the notes.
  Outcome<void> authorize(std::string_view action, const Located& located,
                          const EncryptionContext* encryption_context = nullptr);
  Outcome<void> authorize_by_identity(std::string_view action, std::string_view resource);

  // authorize_retirement asks whether the caller is who may retire the grant: its retiring principal, its grantee if
  // the grant says so, or whom the account of the grant trusts.
  Outcome<void> authorize_retirement(const Located& located, const Grant& grant);

  // check_grant_tokens refuses a token that is none of a grant.
  Outcome<void> check_grant_tokens() const;
  static Fault invalid_grant_token();

  // require_state notes the state as the cause when it forbids the operation.
  Outcome<void> require_state(StateRule rule, const KeyRecord& record);

  // read_recipient verifies the attestation document of the request, if it has one, and adds its condition keys.
  Outcome<std::optional<Recipient>> read_recipient();

  // end_dry_run refuses a request that would have succeeded but only asked.
  Outcome<void> end_dry_run() const;

 private:
  Outcome<void> decide(const iam::AuthorizationRequest& request, std::string_view action);
  Fault refuse_document(iam::Cause cause, std::string_view message, std::string_view detail);

  Environment environment_;
  const Operation& operation_;
  Input input_;
  iam::CallerPtr caller_;
  Realm realm_;
  iam::RequestContext context_;
  WallTime now_;
  Notes notes_;
};

}  // namespace casemate::kms::api
