// SPDX-License-Identifier: Apache-2.0
// ImportToken: what GetParametersForImport gives out and ImportKeyMaterial gets back. It carries the wrapping key
// itself, sealed under the root key, so that nothing needs to be kept in between.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "crypto/pkey.h"
#include "kms/root_key.h"

namespace casemate::kms {

struct ImportToken {
  std::string key_arn;
  std::string algorithm;  // WrappingAlgorithm's name
  WallTime expires;
  crypto::PrivateKey pair;
};

// wrapping_kind is the kind of pair for a WrappingKeySpec, when the algorithm may be used with it.
std::optional<crypto::KeyKind> wrapping_kind(std::string_view algorithm, std::string_view key_spec);

Bytes seal_import_token(const RootKey& root, const ImportToken& token, Rng& rng);
// Errors: kUntrusted. That it is for the right key and not expired is the caller's to check.
Result<ImportToken> open_import_token(const RootKey& root, ByteView token);

// unwrap_import decrypts EncryptedKeyMaterial. Errors: kUntrusted, whatever the reason.
Result<Secret> unwrap_import(const ImportToken& token, ByteView encrypted);

}  // namespace casemate::kms
