// SPDX-License-Identifier: Apache-2.0
// KMS's names of algorithms and key specs, and what they mean to crypto/.
#pragma once

#include <optional>
#include <string_view>

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/pkey.h"
#include "kms/fault.h"
#include "kms/key.h"

namespace casemate::kms {

inline constexpr std::string_view kSymmetricDefault = "SYMMETRIC_DEFAULT";

// key_kind is empty for keys that are no pairs, and for pairs that this build cannot make (ML-DSA, ML-KEM).
std::optional<crypto::KeyKind> key_kind(KeySpec spec);
// secret_length is the material's size of symmetric and HMAC keys; 0 for pairs.
std::size_t secret_length(KeySpec spec);
// is_available: whether keys of that spec can be made and used here.
bool is_available(KeySpec spec);

// These are empty for names of other families.
std::optional<crypto::SignatureScheme> signature_scheme(std::string_view name);
std::optional<crypto::EncryptionScheme> encryption_scheme(std::string_view name);
std::optional<crypto::Hash> mac_hash(std::string_view name);

// make_secret makes the material of a key: PKCS#8 for pairs, random bytes for the others. RSA takes up to seconds.
Result<Secret> make_secret(KeySpec spec, Rng& rng);

}  // namespace casemate::kms
