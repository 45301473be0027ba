// SPDX-License-Identifier: Apache-2.0
// RecipientKeys keeps the keys of verified documents in the form that encrypting wants. An enclave attests the same key
// with every call, and making it from its DER takes about as long as encrypting to it.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "crypto/rsa.h"

namespace casemate::kms::api {

class RecipientKeys {
 public:
  // get reads a SubjectPublicKeyInfo. Errors: as RsaPublicKey::parse_spki's. Several threads may call it.
  Result<crypto::RsaPublicKey> get(ByteView spki);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, crypto::RsaPublicKey> known_;
};

}  // namespace casemate::kms::api
