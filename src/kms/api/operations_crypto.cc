// SPDX-License-Identifier: Apache-2.0
// Cryptographic operations. With a Recipient the document is verified before anything is decided, and what would be
// plaintext leaves encrypted to the attested key only.
#include "base/encoding.h"
#include "crypto/cms.h"
#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

constexpr std::string_view kSymmetric = "SYMMETRIC_DEFAULT";
// The service bounds the whole context; the bound is not published.
constexpr std::size_t kMostContextBytes = 8192;

constexpr std::string_view kUnknownKeyOfCiphertext =
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access.";

Outcome<EncryptionContext> read_context(Call& call, std::string_view member) {
  EncryptionContext context;
  const auto* pairs = call.input().map(member);
  if (pairs == nullptr) return context;
  std::size_t bytes = 0;
  for (const auto& [name, value] : *pairs) bytes += name.size() + value.size();
  if (bytes > kMostContextBytes) {
    return fault(FaultKind::kValidation,
                 fmt::format("The encryption context has {} bytes, at most {}.", bytes, kMostContextBytes));
  }
  return EncryptionContext(*pairs);
}

void add_context_keys(iam::RequestContext& context, const EncryptionContext& encryption_context,
                      std::string_view algorithm) {
  std::vector<std::string> names;
  for (const auto& [name, value] : encryption_context) {
    context.set(fmt::format("kms:EncryptionContext:{}", name), value);
    names.push_back(name);
  }
  context.set_list("kms:EncryptionContextKeys", std::move(names));
  context.set("kms:EncryptionAlgorithm", algorithm);
}

Outcome<void> check_grant_tokens(const Input& input) {
  const auto* tokens = input.texts("GrantTokens");
  if (tokens == nullptr || tokens->empty()) return {};
  return fault(FaultKind::kInvalidGrantToken,
               "The request was rejected because the specified grant token is not valid.");
}

Outcome<void> check_usage(const KeyRecord& record, std::string_view operation, std::string_view algorithm) {
  if (record.key.usage != KeyUsage::kEncryptDecrypt) {
    return fault(FaultKind::kInvalidKeyUsage, fmt::format("{} key usage is {} which is not valid for {}.", record.arn,
                                                          to_string(record.key.usage), operation));
  }
  for (const std::string_view offered : traits_of(record.key.spec).encryption_algorithms) {
    if (offered == algorithm) return {};
  }
  return fault(FaultKind::kInvalidKeyUsage,
               fmt::format("Algorithm {} is incompatible with key spec {}.", algorithm, to_string(record.key.spec)));
}

Outcome<Bytes> seal_with(Call& call, const KeyRecord& record, const EncryptionContext& context,
                         const Secret& plaintext) {
  const UsableMaterial* material = record.current_material();
  if (material == nullptr)
    return silent_fault(FaultKind::kInternal, fmt::format("{}: no current material", record.arn));
  return seal_ciphertext(material->secret, material->id, context, plaintext, call.rng());
}

// deliver puts the plaintext into the answer, or the envelope for the recipient instead; the member that is not meant
// is absent, since clients reject one that is null.
Outcome<void> deliver(Call& call, json::Object& answer, const std::optional<Recipient>& recipient,
                      const Secret& plaintext) {
  if (!recipient) {
    answer.set("Plaintext", encode_base64(plaintext.expose()));
    return {};
  }
  const Bytes envelope = TRY(crypto::encode_enveloped_data(recipient->key, plaintext, call.rng()));
  answer.set("CiphertextForRecipient", encode_base64(envelope));
  return {};
}

// Source is a ciphertext and the key that it is under, found and authorized.
struct Source {
  KeyRecordPtr record;
  const UsableMaterial* material = nullptr;  // null when the ciphertext was to be ignored
  CiphertextBlob blob;
};

struct SourceMembers {
  std::string_view action;
  std::string_view key_id;
};

Fault invalid_ciphertext(std::string_view detail) {
  return silent_fault(FaultKind::kInvalidCiphertext, std::string(detail));
}

Outcome<Located> locate_source(Call& call, const SourceMembers& members, const Result<CiphertextBlob>& blob) {
  if (call.input().has(members.key_id)) return call.locate(members.key_id, AllowAlias::kYes);
  if (!blob.ok()) return invalid_ciphertext(blob.error().message());
  const KeyRecordPtr record = TRY(call.keyring().locate_material(call.realm(), blob->material));
  if (record == nullptr) return fault(FaultKind::kAccessDenied, std::string(kUnknownKeyOfCiphertext));
  return Located{record, {}};
}

Outcome<Source> open_source(Call& call, const SourceMembers& members, const EncryptionContext& context,
                            std::string_view algorithm) {
  const Secret* bytes = call.input().blob("CiphertextBlob");
  const auto* modifiers = call.input().texts("DryRunModifiers");
  const bool ignore = call.input().flag("DryRun") && modifiers != nullptr && !modifiers->empty();
  if (bytes == nullptr && !ignore) {
    return fault(FaultKind::kValidation,
                 constraint_failure("Value null at 'ciphertextBlob'", "Member must not be null"));
  }
  if (bytes == nullptr && !call.input().has(members.key_id)) {
    return fault(
        FaultKind::kValidation,
        constraint_failure(fmt::format("Value null at '{}'", lower_camel(members.key_id)), "Member must not be null"));
  }
  const Result<CiphertextBlob> blob =
      bytes == nullptr ? Result<CiphertextBlob>(malformed("ciphertext: absent")) : parse_ciphertext(bytes->expose());
  const Located located = TRY(locate_source(call, members, blob));
  TRY(call.authorize(members.action, located, &context));
  TRY(check_grant_tokens(call.input()));
  TRY(call.require_state(StateRule::kUse, *located.record));
  if (located.record->key.usage != KeyUsage::kEncryptDecrypt) {
    return fault(FaultKind::kIncorrectKey,
                 "The key ID in the request does not identify a CMK that can perform this operation.");
  }
  TRY(check_usage(*located.record, call.operation().name, algorithm));
  Source source;
  source.record = located.record;
  if (ignore) return source;
  if (!blob.ok()) return invalid_ciphertext(blob.error().message());
  source.blob = *blob;
  source.material = located.record->find_material(blob->material);
  if (source.material == nullptr) {
    const KeyRecordPtr other = TRY(call.keyring().locate_material(call.realm(), blob->material));
    if (other == nullptr) return invalid_ciphertext("of an unknown key");
    return fault(FaultKind::kIncorrectKey,
                 "The key ID in the request does not identify a CMK that can perform this operation.");
  }
  return source;
}

Outcome<Secret> open_blob(const Source& source, const EncryptionContext& context) {
  if (source.material == nullptr) return Secret{};
  auto opened = open_ciphertext(source.material->secret, source.blob, context);
  if (!opened.ok()) return invalid_ciphertext(opened.error().message());
  return opened.take();
}

Outcome<std::size_t> data_key_size(const Input& input) {
  const std::string* spec = input.text("KeySpec");
  const auto number = input.integer("NumberOfBytes");
  if ((spec != nullptr) == number.has_value())
    return fault(FaultKind::kValidation, "Please specify either number of bytes or key spec.");
  if (number) return static_cast<std::size_t>(*number);
  return std::size_t{*spec == "AES_128" ? 16U : 32U};
}

enum class Plaintext { kLeaveOut, kDeliver };

Outcome<Answer> make_data_key(Call& call, Plaintext plaintext) {
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  const std::size_t size = TRY(data_key_size(call.input()));
  const Located located = TRY(call.locate("KeyId", AllowAlias::kYes));
  add_context_keys(call.context(), context, kSymmetric);
  TRY(call.authorize(call.operation().name, located, &context));
  TRY(check_grant_tokens(call.input()));
  TRY(call.require_state(StateRule::kUse, *located.record));
  TRY(check_usage(*located.record, call.operation().name, kSymmetric));
  TRY(call.end_dry_run());
  Secret key = Secret::of_size(size);
  call.rng().fill(key.expose_mutable());
  const Bytes blob = TRY(seal_with(call, *located.record, context, key));
  json::Object answer{{"CiphertextBlob", encode_base64(blob)},
                      {"KeyId", located.record->arn},
                      {"KeyMaterialId", encode_hex(located.record->current_material()->id)}};
  if (plaintext == Plaintext::kDeliver) TRY(deliver(call, answer, recipient, key));
  return Answer(std::move(answer));
}

}  // namespace

Outcome<Answer> encrypt(Call& call) {
  const std::string_view algorithm = call.input().text_or("EncryptionAlgorithm", kSymmetric);
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const Located located = TRY(call.locate("KeyId", AllowAlias::kYes));
  add_context_keys(call.context(), context, algorithm);
  TRY(call.authorize("Encrypt", located, &context));
  TRY(check_grant_tokens(call.input()));
  TRY(call.require_state(StateRule::kUse, *located.record));
  TRY(check_usage(*located.record, "Encrypt", algorithm));
  TRY(call.end_dry_run());
  const Bytes blob = TRY(seal_with(call, *located.record, context, *call.input().blob("Plaintext")));
  return Answer(json::Object{
      {"CiphertextBlob", encode_base64(blob)}, {"EncryptionAlgorithm", algorithm}, {"KeyId", located.record->arn}});
}

Outcome<Answer> decrypt(Call& call) {
  const std::string_view algorithm = call.input().text_or("EncryptionAlgorithm", kSymmetric);
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  add_context_keys(call.context(), context, algorithm);
  const Source source = TRY(open_source(call, {"Decrypt", "KeyId"}, context, algorithm));
  const Secret plaintext = TRY(open_blob(source, context));
  TRY(call.end_dry_run());
  json::Object answer{{"EncryptionAlgorithm", algorithm}, {"KeyId", source.record->arn}};
  if (!recipient) answer.set("KeyMaterialId", encode_hex(source.material->id));
  TRY(deliver(call, answer, recipient, plaintext));
  return Answer(std::move(answer));
}

Outcome<Answer> re_encrypt(Call& call) {
  const std::string_view source_algorithm = call.input().text_or("SourceEncryptionAlgorithm", kSymmetric);
  const std::string_view target_algorithm = call.input().text_or("DestinationEncryptionAlgorithm", kSymmetric);
  const EncryptionContext source_context = TRY(read_context(call, "SourceEncryptionContext"));
  const EncryptionContext target_context = TRY(read_context(call, "DestinationEncryptionContext"));
  const Located target = TRY(call.locate("DestinationKeyId", AllowAlias::kYes));
  const iam::RequestContext shared = call.context();

  add_context_keys(call.context(), source_context, source_algorithm);
  if (const Secret* bytes = call.input().blob("CiphertextBlob"); bytes != nullptr) {
    if (const auto blob = parse_ciphertext(bytes->expose()); blob.ok()) {
      call.context().set_bool("kms:ReEncryptOnSameKey", target.record->find_material(blob->material) != nullptr);
    }
  }
  const Source source = TRY(open_source(call, {"ReEncryptFrom", "SourceKeyId"}, source_context, source_algorithm));
  const bool same_key = source.record->key.id == target.record->key.id;

  call.context() = shared;
  add_context_keys(call.context(), target_context, target_algorithm);
  call.context().set_bool("kms:ReEncryptOnSameKey", same_key);
  TRY(call.authorize("ReEncryptTo", target, &target_context));
  TRY(call.require_state(StateRule::kUse, *target.record));
  TRY(check_usage(*target.record, "ReEncrypt", target_algorithm));
  const Secret plaintext = TRY(open_blob(source, source_context));
  TRY(call.end_dry_run());
  const Bytes blob = TRY(seal_with(call, *target.record, target_context, plaintext));
  return Answer(json::Object{{"CiphertextBlob", encode_base64(blob)},
                             {"DestinationEncryptionAlgorithm", target_algorithm},
                             {"DestinationKeyMaterialId", encode_hex(target.record->current_material()->id)},
                             {"KeyId", target.record->arn},
                             {"SourceEncryptionAlgorithm", source_algorithm},
                             {"SourceKeyId", source.record->arn},
                             {"SourceKeyMaterialId", encode_hex(source.material->id)}});
}

Outcome<Answer> generate_data_key(Call& call) {
  return make_data_key(call, Plaintext::kDeliver);
}

Outcome<Answer> generate_data_key_without_plaintext(Call& call) {
  return make_data_key(call, Plaintext::kLeaveOut);
}

Outcome<Answer> generate_random(Call& call) {
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  TRY(call.authorize_by_identity("GenerateRandom", "*"));
  if (call.input().has("CustomKeyStoreId"))
    return fault(FaultKind::kUnsupported, "Custom key stores are not supported by this service.");
  const auto size = call.input().integer("NumberOfBytes");
  if (!size) return fault(FaultKind::kValidation, "NumberOfBytes is required.");
  Secret bytes = Secret::of_size(static_cast<std::size_t>(*size));
  call.rng().fill(bytes.expose_mutable());
  json::Object answer;
  TRY(deliver(call, answer, recipient, bytes));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
