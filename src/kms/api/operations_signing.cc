// SPDX-License-Identifier: Apache-2.0
// Signatures, public keys, key agreement and message authentication codes.
#include "base/encoding.h"
#include "kms/api/key_use.h"
#include "kms/api/operations.h"

namespace casemate::kms::api {
namespace {

using crypto::MessageForm;
using crypto::SignatureScheme;

constexpr std::string_view kPrehashedEdDsa = "ED25519_PH_SHA_512";

struct Signing {
  Located located;
  const UsableMaterial* material = nullptr;
  SignatureScheme scheme = SignatureScheme::kEd25519;
  MessageForm form = MessageForm::kMessage;
  std::string_view algorithm;
  ByteView message;
};

Fault wrong_message_type(std::string_view algorithm, std::string_view type) {
  return fault(FaultKind::kValidation,
               fmt::format("Algorithm {} is incompatible with message type {}.", algorithm, type));
}

Outcome<Signing> prepare(Call& call) {
  Signing signing;
  signing.algorithm = *call.input().text("SigningAlgorithm");
  const std::string_view type = call.input().text_or("MessageType", "RAW");
  call.context().set("kms:SigningAlgorithm", signing.algorithm);
  call.context().set("kms:MessageType", type);
  signing.located = TRY(
      use_key(call, {.action = call.operation().name, .usage = KeyUsage::kSignVerify, .algorithm = signing.algorithm}));
  if (signing.algorithm == kPrehashedEdDsa) {
    if (type != "DIGEST") return wrong_message_type(signing.algorithm, type);
    return fault(
        FaultKind::kUnsupported,
        "The algorithm ED25519_PH_SHA_512 needs a newer cryptographic library than this service was built with.");
  }
  const auto scheme = signature_scheme(signing.algorithm);
  if (!scheme) return silent_fault(FaultKind::kInternal, "a signing algorithm without a scheme");
  signing.scheme = *scheme;
  signing.form = type == "DIGEST" ? MessageForm::kDigest : MessageForm::kMessage;
  signing.message = call.input().blob("Message")->expose();
  const std::size_t length = crypto::digest_length(signing.scheme);
  if (type == "EXTERNAL_MU" || (signing.form == MessageForm::kDigest && length == 0))
    return wrong_message_type(signing.algorithm, type);
  if (signing.form == MessageForm::kDigest && signing.message.size() != length) {
    return fault(FaultKind::kValidation, fmt::format("Digest is invalid length for algorithm {}.", signing.algorithm));
  }
  signing.material = TRY(current(*signing.located.record));
  CASEMATE_CHECK(signing.material->pair.has_value());
  TRY(call.end_dry_run());
  return signing;
}

Outcome<Bytes> compute_mac(Call& call, Located& located) {
  const std::string& algorithm = *call.input().text("MacAlgorithm");
  call.context().set("kms:MacAlgorithm", algorithm);
  located = TRY(
      use_key(call, {.action = call.operation().name, .usage = KeyUsage::kGenerateVerifyMac, .algorithm = algorithm}));
  const auto hash = mac_hash(algorithm);
  if (!hash) return silent_fault(FaultKind::kInternal, "a MAC algorithm without a hash");
  TRY(call.end_dry_run());
  const UsableMaterial& material = *TRY(current(*located.record));
  return crypto::hmac(*hash, material.secret.expose(), call.input().blob("Message")->expose());
}

}  // namespace

Outcome<Answer> sign(Call& call) {
  const Signing signing = TRY(prepare(call));
  const Bytes signature = TRY(signing.material->pair->sign(signing.scheme, signing.form, signing.message));
  return Answer(json::Object{{"KeyId", signing.located.record->arn},
                             {"Signature", encode_base64(signature)},
                             {"SigningAlgorithm", signing.algorithm}});
}

Outcome<Answer> verify(Call& call) {
  const Signing signing = TRY(prepare(call));
  const ByteView signature = call.input().blob("Signature")->expose();
  if (!signing.material->pair->public_key().verify(signing.scheme, signing.form, signing.message, signature))
    return silent_fault(FaultKind::kInvalidSignature);
  return Answer(json::Object{
      {"KeyId", signing.located.record->arn}, {"SignatureValid", true}, {"SigningAlgorithm", signing.algorithm}});
}

Outcome<Answer> get_public_key(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kYes));
  TRY(call.authorize("GetPublicKey", located));
  TRY(call.check_grant_tokens());
  const KeyRecord& record = *located.record;
  if (!key_kind(record.key.spec)) {
    return fault(FaultKind::kUnsupported, fmt::format("{} key spec is {} which is not valid for GetPublicKey.",
                                                      record.arn, to_string(record.key.spec)));
  }
  TRY(call.require_state(StateRule::kUseAsymmetric, record));
  const UsableMaterial& material = *TRY(current(record));
  const SpecTraits& traits = traits_of(record.key.spec);
  json::Object answer{{"CustomerMasterKeySpec", traits.name},
                      {"KeyId", record.arn},
                      {"KeySpec", traits.name},
                      {"KeyUsage", to_string(record.key.usage)},
                      {"PublicKey", encode_base64(material.pair->public_key().spki())}};
  if (record.key.usage == KeyUsage::kEncryptDecrypt)
    answer.set("EncryptionAlgorithms", strings(traits.encryption_algorithms));
  if (record.key.usage == KeyUsage::kSignVerify) answer.set("SigningAlgorithms", strings(traits.signing_algorithms));
  if (record.key.usage == KeyUsage::kKeyAgreement)
    answer.set("KeyAgreementAlgorithms", strings(traits.key_agreement_algorithms));
  return Answer(std::move(answer));
}

Outcome<Answer> derive_shared_secret(Call& call) {
  const std::optional<Recipient> recipient = TRY(call.read_recipient());
  const std::string& algorithm = *call.input().text("KeyAgreementAlgorithm");
  call.context().set("kms:KeyAgreementAlgorithm", algorithm);
  const Located located =
      TRY(use_key(call, {.action = "DeriveSharedSecret", .usage = KeyUsage::kKeyAgreement, .algorithm = algorithm}));
  const UsableMaterial& material = *TRY(current(*located.record));
  const auto peer = crypto::PublicKey::parse_spki(material.pair->kind(), call.input().blob("PublicKey")->expose());
  if (!peer.ok()) return silent_fault(FaultKind::kValidation, peer.error().message());
  TRY(call.end_dry_run());
  const Secret secret = TRY(material.pair->agree(*peer));
  json::Object answer{{"KeyAgreementAlgorithm", algorithm},
                      {"KeyId", located.record->arn},
                      {"KeyOrigin", to_string(located.record->key.origin)}};
  TRY(deliver(call, answer, "SharedSecret", recipient, secret));
  return Answer(std::move(answer));
}

Outcome<Answer> generate_mac(Call& call) {
  Located located;
  const Bytes mac = TRY(compute_mac(call, located));
  return Answer(json::Object{{"KeyId", located.record->arn},
                             {"Mac", encode_base64(mac)},
                             {"MacAlgorithm", *call.input().text("MacAlgorithm")}});
}

Outcome<Answer> verify_mac(Call& call) {
  Located located;
  const Bytes mac = TRY(compute_mac(call, located));
  if (!equal_constant_time(mac, call.input().blob("Mac")->expose())) return silent_fault(FaultKind::kInvalidMac);
  return Answer(json::Object{
      {"KeyId", located.record->arn}, {"MacAlgorithm", *call.input().text("MacAlgorithm")}, {"MacValid", true}});
}

}  // namespace casemate::kms::api
