// SPDX-License-Identifier: Apache-2.0
#include "kms/api/call.h"

#include "base/encoding.h"
#include "iam/messages.h"

namespace casemate::kms::api {
namespace {

void add_key_keys(iam::RequestContext& context, const KeyRecord& record) {
  const Key& key = record.key;
  context.set("kms:KeySpec", to_string(key.spec));
  context.set("kms:KeyUsage", to_string(key.usage));
  context.set("kms:CustomerMasterKeySpec", to_string(key.spec));
  context.set("kms:CustomerMasterKeyUsage", to_string(key.usage));
  context.set("kms:KeyOrigin", to_string(key.origin));
  context.set_bool("kms:MultiRegion", key.multi_region);
  if (key.multi_region) context.set("kms:MultiRegionKeyType", key.is_primary() ? "PRIMARY" : "REPLICA");
  context.set_list("kms:ResourceAliases", record.aliases);
  context.set("aws:ResourceAccount", key.realm.account);
  for (const auto& [tag, value] : record.tags) context.set(fmt::format("aws:ResourceTag/{}", tag), value);
}

void add_recipient_keys(iam::RequestContext& context, const attestation::Document& document) {
  for (const attestation::Pcr& pcr : document.pcrs) {
    const std::string value = encode_hex(pcr.value);
    context.set(fmt::format("kms:RecipientAttestation:PCR{}", pcr.index), value);
    if (pcr.index == 0) context.set("kms:RecipientAttestation:ImageSha384", value);
  }
}

// The members that CloudTrail shows of a recipient; registers in base64 as it has them.
json::Value describe_recipient(const attestation::VerifiedDocument& verified) {
  const attestation::Document& document = verified.document();
  json::Object out{{"attestationDocumentModuleId", document.module_id}};
  for (const attestation::Pcr& pcr : document.pcrs) {
    if (pcr.index > 4 && pcr.index != 8) continue;
    const std::string name = pcr.index == 0 ? "attestationDocumentEnclaveImageDigest"
                                            : fmt::format("attestationDocumentEnclavePCR{}", pcr.index);
    out.set(name, encode_base64(pcr.value));
  }
  out.set("attestationDocumentTrustAnchor", verified.anchor());
  return out;
}

}  // namespace

Call::Call(Environment environment, const Operation& operation, Input input, iam::CallerPtr caller, Realm realm,
           iam::RequestContext context, WallTime now)
    : environment_(environment),
      operation_(operation),
      input_(std::move(input)),
      caller_(std::move(caller)),
      realm_(std::move(realm)),
      context_(std::move(context)),
      now_(now) {}

Outcome<Located> Call::locate(std::string_view member, AllowAlias allow_alias) {
  const std::string* text = input_.text(member);
  CASEMATE_CHECK(text != nullptr);
  const KeyReference reference = TRY(parse_key_reference(*text, realm_, allow_alias));
  return keyring().locate(reference);
}

Outcome<void> Call::decide(const iam::AuthorizationRequest& request, std::string_view action) {
  const iam::Decision decision = iam::decide(request);
  if (decision.allowed()) {
    notes_.grant_id = decision.grant_id;
    return {};
  }
  notes_.decision = iam::to_json(iam::trace(request));
  return fault(FaultKind::kAccessDenied,
               iam::access_denied_text(caller_->principal, action, request.resource, decision));
}

Outcome<void> Call::authorize(std::string_view action, const Located& located,
                              const EncryptionContext* encryption_context) {
  const KeyRecord& record = *located.record;
  notes_.resources.emplace_back(record.arn, record.key.realm.account);
  const std::size_t shared = context_.size();
  add_key_keys(context_, record);
  if (!located.alias.empty()) context_.set("kms:RequestAlias", located.alias);
  const std::string full_action = fmt::format("kms:{}", action);
  const iam::AuthorizationRequest request{.caller = *caller_,
                                          .action = full_action,
                                          .resource = record.arn,
                                          .resource_account = record.key.realm.account,
                                          .context = context_,
                                          .authority = iam::Authority::kResourcePolicy,
                                          .resource_policy = &record.policy,
                                          .grants = record.grants_to_decide,
                                          .encryption_context = encryption_context};
  Outcome<void> decided = decide(request, full_action);
  context_.shrink(shared);
  return decided;
}

Outcome<void> Call::authorize_by_identity(std::string_view action, std::string_view resource) {
  if (resource != "*") notes_.resources.emplace_back(resource, realm_.account);
  const std::string full_action = fmt::format("kms:{}", action);
  const iam::AuthorizationRequest request{.caller = *caller_,
                                          .action = full_action,
                                          .resource = resource,
                                          .resource_account = realm_.account,
                                          .context = context_,
                                          .authority = iam::Authority::kIdentityOnly,
                                          .resource_policy = nullptr,
                                          .grants = {},
                                          .encryption_context = nullptr};
  return decide(request, full_action);
}

Outcome<void> Call::authorize_retirement(const Located& located, const Grant& grant) {
  const KeyRecord& record = *located.record;
  notes_.resources.emplace_back(record.arn, record.key.realm.account);
  std::vector<iam::Grant> grants;
  const std::vector<std::string> retire{"RetireGrant"};
  if (!grant.retiring.empty()) grants.push_back({grant.id, grant.retiring, retire, std::nullopt, std::nullopt});
  grants.push_back({grant.id, grant.grantee, grant.operations, std::nullopt, std::nullopt});
  iam::RequestContext context = context_;
  add_key_keys(context, record);
  const iam::AuthorizationRequest request{.caller = *caller_,
                                          .action = "kms:RetireGrant",
                                          .resource = record.arn,
                                          .resource_account = record.key.realm.account,
                                          .context = context,
                                          .authority = iam::Authority::kEither,
                                          .resource_policy = nullptr,
                                          .grants = grants,
                                          .encryption_context = nullptr};
  return decide(request, "kms:RetireGrant");
}

Fault Call::invalid_grant_token() {
  return fault(FaultKind::kInvalidGrantToken,
               "The request was rejected because the specified grant token is not valid.");
}

// Grants count as soon as they are made here, so a token adds nothing to the decision; it only must be a real one.
Outcome<void> Call::check_grant_tokens() const {
  const auto* tokens = input_.texts("GrantTokens");
  if (tokens == nullptr) return {};
  for (const std::string& token : *tokens) {
    if (!environment_.parts.keyring.read_grant_token(token)) return invalid_grant_token();
  }
  return {};
}

Outcome<void> Call::require_state(StateRule rule, const KeyRecord& record) {
  auto checked = check_state(rule, record.key.state, record.arn);
  if (!checked.ok()) {
    notes_.decision =
        iam::to_json(iam::trace_of(iam::Cause::kKeyState, checked.error().message.value_or(""), caller_->principal.arn,
                                   fmt::format("kms:{}", operation_.name), record.arn));
  }
  return checked;
}

Fault Call::refuse_document(iam::Cause cause, std::string_view message, std::string_view detail) {
  notes_.decision =
      iam::to_json(iam::trace_of(cause, detail, caller_->principal.arn, fmt::format("kms:{}", operation_.name), "*"));
  Fault refused = fault(FaultKind::kValidation, std::string(message));
  refused.detail = detail;
  return refused;
}

// The caller learns only in which class a document fails; which step failed, and why, is for the audit log.
Outcome<std::optional<Recipient>> Call::read_recipient() {
  const Input* recipient = input_.structure("Recipient");
  if (recipient == nullptr) return std::optional<Recipient>{};
  if (recipient->text("KeyEncryptionAlgorithm") == nullptr) {
    return fault(FaultKind::kValidation,
                 constraint_failure("Value null at 'recipient.keyEncryptionAlgorithm'", "Member must not be null"));
  }
  const Secret* bytes = recipient->blob("AttestationDocument");
  if (bytes == nullptr) {
    return fault(FaultKind::kValidation,
                 constraint_failure("Value null at 'recipient.attestationDocument'", "Member must not be null"));
  }

  attestation::Policy policy = attestation::Policy::at_time(now_);
  policy.allow_debug = attestation::AllowDebug::kYes;  // what a debug enclave may do is the key policy's business
  policy.max_ahead = options().document_ahead;
  auto verified = attestation::verify(bytes->expose(), options().trust, policy, &environment_.chains);
  if (!verified.ok()) {
    if (verified.error().code() == ErrorCode::kUntrusted) {
      return refuse_document(iam::Cause::kDocumentUntrusted, "The attestation document could not be verified.",
                             verified.error().message());
    }
    return refuse_document(iam::Cause::kDocumentInvalid, "The attestation document is not valid.",
                           verified.error().message());
  }
  const attestation::Document& document = verified->document();
  if (now_ - document.timestamp > options().document_age) {
    return refuse_document(iam::Cause::kDocumentStale, "The attestation document is too old.",
                           fmt::format("timestamp: {} s old, at most {} s", (now_ - document.timestamp).count() / 1000,
                                       options().document_age.count() / 1000));
  }
  notes_.recipient = describe_recipient(*verified);
  if (!document.public_key) {
    return refuse_document(iam::Cause::kDocumentInvalid, "The attestation document contains no public key.",
                           "public_key: absent");
  }
  auto key = environment_.recipient_keys.get(*document.public_key);
  if (!key.ok()) {
    return refuse_document(iam::Cause::kDocumentInvalid,
                           "The public key in the attestation document is not an RSA key of 2048 to 4096 bits.",
                           key.error().message());
  }
  add_recipient_keys(context_, document);
  return std::optional<Recipient>(Recipient{verified.take(), key.take()});
}

Outcome<void> Call::end_dry_run() const {
  if (!input_.flag("DryRun")) return {};
  return fault(FaultKind::kDryRun, "The request would have succeeded, but the DryRun option is set.");
}

}  // namespace casemate::kms::api
