// SPDX-License-Identifier: Apache-2.0
// Token: one AES key inside a PKCS#11 token (Cryptographic Token Interface Standard 2.40), which never leaves it.
#pragma once

#include <memory>
#include <string>

#include "base/secret.h"

namespace casemate::kms::seal {

struct TokenKey {
  std::string module;  // path of the vendor's library
  std::string token;   // label of the token
  std::string key;     // label of the AES-256 key
};

class Token {
 public:
  // open loads the module, logs in with the PIN and finds the key. With Missing::kCreate a key that is not there is
  // made, sensitive and not extractable. Errors: kNotFound (module, token, key), kDenied (PIN), kUnavailable (the
  // token).
  enum class Missing { kRefuse, kCreate };
  static Result<std::unique_ptr<Token>> open(const TokenKey& name, const Secret& pin, Missing missing);
  virtual ~Token() = default;

  // AES-256-GCM inside the token, with a 12-byte nonce. Errors: kUntrusted (what does not open), kUnavailable.
  virtual Result<Bytes> seal(ByteView nonce, ByteView associated_data, const Secret& plaintext) = 0;
  virtual Result<Secret> unseal(ByteView nonce, ByteView associated_data, ByteView sealed) = 0;
};

}  // namespace casemate::kms::seal
