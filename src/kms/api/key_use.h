// SPDX-License-Identifier: Apache-2.0
// What all cryptographic operations share: finding the key and everything that must hold before it is used.
#pragma once

#include "kms/algorithms.h"
#include "kms/api/call.h"

namespace casemate::kms::api {

// Use is how an operation means to use a key. `algorithm` is empty for those that name none.
struct Use {
  std::string_view action;  // as policies name it
  KeyUsage usage = KeyUsage::kEncryptDecrypt;
  std::string_view algorithm = {};
  const EncryptionContext* context = nullptr;
  std::string_view member = "KeyId";
};

// use_key finds the key that the member names, decides, and checks its state, usage and algorithm, in this order.
Outcome<Located> use_key(Call& call, const Use& use);
// check_use is use_key for a key that is found.
Outcome<void> check_use(Call& call, const Located& located, const Use& use);

// current is the key's material in use. Faults: Internal, since every usable key has one.
Outcome<const UsableMaterial*> current(const KeyRecord& record);

// read_context gives the pairs of an encryption context. Faults: Validation (more than 8 KiB).
Outcome<EncryptionContext> read_context(Call& call, std::string_view member);
void add_context_keys(iam::RequestContext& context, const EncryptionContext& encryption_context,
                      std::string_view algorithm);

// deliver puts the plaintext into the answer under `member`, or the envelope for the recipient instead; the member that
// is not meant is absent, since clients reject one that is null.
Outcome<void> deliver(Call& call, json::Object& answer, std::string_view member,
                      const std::optional<Recipient>& recipient, const Secret& plaintext);

}  // namespace casemate::kms::api
