// SPDX-License-Identifier: Apache-2.0
// Encrypt, Decrypt, ReEncrypt. Ciphertexts of symmetric keys name their key; those of pairs are the algorithm's bare
// output.
#include "base/encoding.h"
#include "kms/api/key_use.h"
#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

constexpr std::string_view kUnknownKeyOfCiphertext =
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access.";
constexpr std::string_view kOtherKey =
    "The key ID in the request does not identify a CMK that can perform this operation.";

Fault invalid_ciphertext(std::string_view detail) {
  return silent_fault(FaultKind::kInvalidCiphertext, std::string(detail));
}

Fault null_member(std::string_view member) {
  return fault(FaultKind::kValidation,
               constraint_failure(fmt::format("Value null at '{}'", lower_camel(member)), "Member must not be null"));
}

bool is_symmetric(std::string_view algorithm) {
  return algorithm == kSymmetricDefault;
}

// A pair has no place for associated data: refuse a context rather than lose it.
Outcome<void> check_context(std::string_view algorithm, const EncryptionContext& context) {
  if (is_symmetric(algorithm) || context.empty()) return {};
  return fault(FaultKind::kValidation,
               fmt::format("An encryption context is not valid with the algorithm {}.", algorithm));
}

Outcome<Bytes> seal(Call& call, const KeyRecord& record, std::string_view algorithm, const EncryptionContext& context,
                    const Secret& plaintext) {
  const UsableMaterial& material = *TRY(current(record));
  if (is_symmetric(algorithm)) return seal_ciphertext(material.secret, material.id, context, plaintext, call.published_rng());
  const auto scheme = encryption_scheme(algorithm);
  CASEMATE_CHECK(scheme.has_value() && material.pair.has_value());
  const std::size_t most = crypto::most_plaintext(material.pair->kind(), *scheme);
  if (plaintext.size() > most) {
    return fault(FaultKind::kValidation,
                 fmt::format("Algorithm {} and key spec {} cannot encrypt data larger than {} bytes.", algorithm,
                             to_string(record.key.spec), most));
  }
  return TRY(material.pair->public_key().encrypt(*scheme, plaintext.expose()));
}

// Source is a ciphertext and the key that it is under, found and authorized.
struct Source {
  KeyRecordPtr record;
  const UsableMaterial* material = nullptr;  // null when the ciphertext was to be ignored
  CiphertextBlob blob;                       // of a symmetric key
};

struct SourceMembers {
  std::string_view action;
  std::string_view key_id;
  std::string_view algorithm;
  const EncryptionContext& context;
};

Outcome<Located> locate_source(Call& call, const SourceMembers& members, const Result<CiphertextBlob>& blob) {
  if (call.input().has(members.key_id)) return call.locate(members.key_id, AllowAlias::kYes);
  if (!is_symmetric(members.algorithm)) return null_member(members.key_id);
  if (!blob.ok()) return invalid_ciphertext(blob.error().message());
  const KeyRecordPtr record = TRY(call.keyring().locate_material(call.realm(), blob->material));
  if (record == nullptr) return fault(FaultKind::kAccessDenied, std::string(kUnknownKeyOfCiphertext));
  return Located{record, {}};
}

Outcome<Source> find_source(Call& call, const SourceMembers& members) {
  TRY(check_context(members.algorithm, members.context));
  const Secret* bytes = call.input().blob("CiphertextBlob");
  const auto* modifiers = call.input().texts("DryRunModifiers");
  const bool ignore = call.input().flag("DryRun") && modifiers != nullptr && !modifiers->empty();
  if (bytes == nullptr && !ignore) return null_member("CiphertextBlob");
  if (bytes == nullptr && !call.input().has(members.key_id)) return null_member(members.key_id);
  const Result<CiphertextBlob> blob = bytes == nullptr || !is_symmetric(members.algorithm)
                                          ? Result<CiphertextBlob>(malformed("ciphertext: of no symmetric key"))
                                          : parse_ciphertext(bytes->expose());
  const Located located = TRY(locate_source(call, members, blob));
  Source source;
  source.record = located.record;
  const Use use{.action = members.action, .algorithm = members.algorithm, .context = &members.context};
  if (auto checked = check_use(call, located, use); !checked.ok()) {
    const bool other_usage = located.record->key.usage != KeyUsage::kEncryptDecrypt;
    if (other_usage && checked.error().kind == FaultKind::kInvalidKeyUsage)
      return fault(FaultKind::kIncorrectKey, std::string(kOtherKey));
    return std::move(checked).error();
  }
  if (ignore) return source;
  if (!is_symmetric(members.algorithm)) {
    source.material = TRY(current(*located.record));
    return source;
  }
  if (!blob.ok()) return invalid_ciphertext(blob.error().message());
  source.blob = *blob;
  source.material = located.record->find_material(blob->material);
  if (source.material == nullptr) {
    const KeyRecordPtr other = TRY(call.keyring().locate_material(call.realm(), blob->material));
    if (other == nullptr) return invalid_ciphertext("of an unknown key");
    return fault(FaultKind::kIncorrectKey, std::string(kOtherKey));
  }
  return source;
}

Outcome<Secret> open_source(Call& call, const Source& source, const SourceMembers& members) {
  if (source.material == nullptr) return Secret{};
  auto opened = [&]() -> Result<Secret> {
    if (is_symmetric(members.algorithm)) return open_ciphertext(source.material->secret, source.blob, members.context);
    const auto scheme = encryption_scheme(members.algorithm);
    const Secret* bytes = call.input().blob("CiphertextBlob");
    CASEMATE_CHECK(scheme.has_value() && bytes != nullptr && source.material->pair.has_value());
    return source.material->pair->decrypt(*scheme, bytes->expose());
  }();
  if (!opened.ok()) return invalid_ciphertext(opened.error().message());
  // What no request could have encrypted has no form in an answer.
  if (opened->empty()) return invalid_ciphertext("of nothing");
  return opened.take();
}

}  // namespace

Outcome<Answer> encrypt(Call& call) {
  const std::string_view algorithm = call.input().text_or("EncryptionAlgorithm", kSymmetricDefault);
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  TRY(check_context(algorithm, context));
  add_context_keys(call.context(), context, algorithm);
  const Located located = TRY(use_key(call, {.action = "Encrypt", .algorithm = algorithm, .context = &context}));
  TRY(call.end_dry_run());
  const Bytes blob = TRY(seal(call, *located.record, algorithm, context, *call.input().blob("Plaintext")));
  return Answer(json::Object{
      {"CiphertextBlob", encode_base64(blob)}, {"EncryptionAlgorithm", algorithm}, {"KeyId", located.record->arn}});
}

Outcome<Answer> decrypt(Call& call) {
  const std::string_view algorithm = call.input().text_or("EncryptionAlgorithm", kSymmetricDefault);
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  add_context_keys(call.context(), context, algorithm);
  const SourceMembers members{"Decrypt", "KeyId", algorithm, context};
  const Source source = TRY(find_source(call, members));
  const Secret plaintext = TRY(open_source(call, source, members));
  TRY(call.end_dry_run());
  json::Object answer{{"EncryptionAlgorithm", algorithm}, {"KeyId", source.record->arn}};
  if (!recipient && is_symmetric(algorithm)) answer.set("KeyMaterialId", encode_hex(source.material->id));
  TRY(deliver(call, answer, "Plaintext", recipient, plaintext));
  return Answer(std::move(answer));
}

Outcome<Answer> re_encrypt(Call& call) {
  const std::string_view source_algorithm = call.input().text_or("SourceEncryptionAlgorithm", kSymmetricDefault);
  const std::string_view target_algorithm = call.input().text_or("DestinationEncryptionAlgorithm", kSymmetricDefault);
  const EncryptionContext source_context = TRY(read_context(call, "SourceEncryptionContext"));
  const EncryptionContext target_context = TRY(read_context(call, "DestinationEncryptionContext"));
  TRY(check_context(target_algorithm, target_context));
  const Located target = TRY(call.locate("DestinationKeyId", AllowAlias::kYes));
  const iam::RequestContext shared = call.context();

  add_context_keys(call.context(), source_context, source_algorithm);
  if (const Secret* bytes = call.input().blob("CiphertextBlob"); bytes != nullptr && is_symmetric(source_algorithm)) {
    if (const auto blob = parse_ciphertext(bytes->expose()); blob.ok()) {
      call.context().set_bool("kms:ReEncryptOnSameKey", target.record->find_material(blob->material) != nullptr);
    }
  }
  const SourceMembers members{"ReEncryptFrom", "SourceKeyId", source_algorithm, source_context};
  const Source source = TRY(find_source(call, members));
  const bool same_key = source.record->key.id == target.record->key.id;

  call.context() = shared;
  add_context_keys(call.context(), target_context, target_algorithm);
  call.context().set_bool("kms:ReEncryptOnSameKey", same_key);
  TRY(check_use(call, target, {.action = "ReEncryptTo", .algorithm = target_algorithm, .context = &target_context}));
  const Secret plaintext = TRY(open_source(call, source, members));
  TRY(call.end_dry_run());
  const Bytes blob = TRY(seal(call, *target.record, target_algorithm, target_context, plaintext));
  json::Object answer{{"CiphertextBlob", encode_base64(blob)},
                      {"DestinationEncryptionAlgorithm", target_algorithm},
                      {"KeyId", target.record->arn},
                      {"SourceEncryptionAlgorithm", source_algorithm},
                      {"SourceKeyId", source.record->arn}};
  if (is_symmetric(target_algorithm))
    answer.set("DestinationKeyMaterialId", encode_hex(target.record->current_material()->id));
  if (is_symmetric(source_algorithm)) answer.set("SourceKeyMaterialId", encode_hex(source.material->id));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
