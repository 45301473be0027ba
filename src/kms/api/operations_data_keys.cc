// SPDX-License-Identifier: Apache-2.0
// Data keys, data key pairs, random bytes. With a Recipient the document is verified before anything is decided, and
// what would be plaintext leaves encrypted to the attested key only.
#include "base/encoding.h"
#include "kms/api/key_use.h"
#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

enum class Plaintext { kLeaveOut, kDeliver };

Outcome<std::size_t> data_key_size(const Input& input) {
  const std::string* spec = input.text("KeySpec");
  const auto number = input.integer("NumberOfBytes");
  if ((spec != nullptr) == number.has_value())
    return fault(FaultKind::kValidation, "Please specify either number of bytes or key spec.");
  if (number) return static_cast<std::size_t>(*number);
  return std::size_t{*spec == "AES_128" ? 16U : 32U};
}

Outcome<Answer> make_data_key(Call& call, Plaintext plaintext) {
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  const std::size_t size = TRY(data_key_size(call.input()));
  add_context_keys(call.context(), context, kSymmetricDefault);
  const Located located =
      TRY(use_key(call, {.action = call.operation().name, .algorithm = kSymmetricDefault, .context = &context}));
  TRY(call.end_dry_run());
  const UsableMaterial& material = *TRY(current(*located.record));
  Secret key = Secret::of_size(size);
  call.rng().fill(key.expose_mutable());
  const Bytes blob = seal_ciphertext(material.secret, material.id, context, key, call.published_rng());
  json::Object answer{{"CiphertextBlob", encode_base64(blob)},
                      {"KeyId", located.record->arn},
                      {"KeyMaterialId", encode_hex(material.id)}};
  if (plaintext == Plaintext::kDeliver) TRY(deliver(call, answer, "Plaintext", recipient, key));
  return Answer(std::move(answer));
}

Outcome<Answer> make_data_key_pair(Call& call, Plaintext plaintext) {
  const EncryptionContext context = TRY(read_context(call, "EncryptionContext"));
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  const std::string& spec = *call.input().text("KeyPairSpec");
  add_context_keys(call.context(), context, kSymmetricDefault);
  call.context().set("kms:DataKeyPairSpec", spec);
  const Located located =
      TRY(use_key(call, {.action = call.operation().name, .algorithm = kSymmetricDefault, .context = &context}));
  const auto kind = key_kind(parse_key_spec(spec).value_or(KeySpec::kSymmetricDefault));
  if (!kind) {
    return fault(FaultKind::kUnsupported,
                 fmt::format("Key pairs of the spec {} are not supported by this service.", spec));
  }
  TRY(call.end_dry_run());
  const UsableMaterial& material = *TRY(current(*located.record));
  const crypto::PrivateKey pair = TRY(crypto::PrivateKey::generate(*kind));
  const Secret private_key = pair.pkcs8();
  const Bytes blob = seal_ciphertext(material.secret, material.id, context, private_key, call.published_rng());
  json::Object answer{{"KeyId", located.record->arn},
                      {"KeyMaterialId", encode_hex(material.id)},
                      {"KeyPairSpec", spec},
                      {"PrivateKeyCiphertextBlob", encode_base64(blob)},
                      {"PublicKey", encode_base64(pair.public_key().spki())}};
  if (plaintext == Plaintext::kDeliver) TRY(deliver(call, answer, "PrivateKeyPlaintext", recipient, private_key));
  return Answer(std::move(answer));
}

}  // namespace

Outcome<Answer> generate_data_key(Call& call) {
  return make_data_key(call, Plaintext::kDeliver);
}

Outcome<Answer> generate_data_key_without_plaintext(Call& call) {
  return make_data_key(call, Plaintext::kLeaveOut);
}

Outcome<Answer> generate_data_key_pair(Call& call) {
  return make_data_key_pair(call, Plaintext::kDeliver);
}

Outcome<Answer> generate_data_key_pair_without_plaintext(Call& call) {
  return make_data_key_pair(call, Plaintext::kLeaveOut);
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
  TRY(deliver(call, answer, "Plaintext", recipient, bytes));
  return Answer(std::move(answer));
}

}  // namespace casemate::kms::api
