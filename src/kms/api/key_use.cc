// SPDX-License-Identifier: Apache-2.0
#include "kms/api/key_use.h"

#include <algorithm>

#include "base/encoding.h"
#include "crypto/cms.h"

namespace casemate::kms::api {
namespace {

// The service bounds the whole context; the bound is not published.
constexpr std::size_t kMostContextBytes = 8192;

std::span<const std::string_view> algorithms_for(const SpecTraits& traits, KeyUsage usage) {
  switch (usage) {
    case KeyUsage::kEncryptDecrypt:
      return traits.encryption_algorithms;
    case KeyUsage::kSignVerify:
      return traits.signing_algorithms;
    case KeyUsage::kGenerateVerifyMac:
      return traits.mac_algorithms;
    case KeyUsage::kKeyAgreement:
      return traits.key_agreement_algorithms;
    case KeyUsage::kEncapsulateDecapsulate:
      return {};
  }
  CASEMATE_CHECK(false);
}

}  // namespace

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

Outcome<void> check_use(Call& call, const Located& located, const Use& use) {
  const KeyRecord& record = *located.record;
  TRY(call.authorize(use.action, located, use.context));
  TRY(call.check_grant_tokens());
  const bool asymmetric = use.usage != KeyUsage::kEncryptDecrypt;
  TRY(call.require_state(asymmetric ? StateRule::kUseAsymmetric : StateRule::kUse, record));
  if (record.key.usage != use.usage) {
    return fault(FaultKind::kInvalidKeyUsage, fmt::format("{} key usage is {} which is not valid for {}.", record.arn,
                                                          to_string(record.key.usage), call.operation().name));
  }
  const auto offered = algorithms_for(traits_of(record.key.spec), use.usage);
  if (!use.algorithm.empty() && std::find(offered.begin(), offered.end(), use.algorithm) == offered.end()) {
    return fault(FaultKind::kInvalidKeyUsage, fmt::format("Algorithm {} is incompatible with key spec {}.",
                                                          use.algorithm, to_string(record.key.spec)));
  }
  call.notes().used.push_back(record.name());
  return {};
}

Outcome<Located> use_key(Call& call, const Use& use) {
  Located located = TRY(call.locate(use.member, AllowAlias::kYes));
  TRY(check_use(call, located, use));
  return located;
}

Outcome<const UsableMaterial*> current(const KeyRecord& record) {
  const UsableMaterial* material = record.current_material();
  if (material == nullptr)
    return silent_fault(FaultKind::kInternal, fmt::format("{}: no current material", record.arn));
  return material;
}

Outcome<void> deliver(Call& call, json::Object& answer, std::string_view member,
                      const std::optional<Recipient>& recipient, const Secret& plaintext) {
  if (!recipient) {
    answer.set(member, encode_base64(plaintext.expose()));
    return {};
  }
  const Bytes envelope = TRY(crypto::encode_enveloped_data(recipient->key, plaintext, call.rng()));
  answer.set("CiphertextForRecipient", encode_base64(envelope));
  return {};
}

}  // namespace casemate::kms::api
