// SPDX-License-Identifier: Apache-2.0
// CiphertextBlob of symmetric keys: the service's outward form (header, backing key id, salt, PKCS #7 EncryptedData of
// AES-256-GCM), with the header and the encryption context as associated data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "iam/evaluate.h"
#include "kms/key.h"

namespace casemate::kms {

// An encryption context is a set of pairs: order has no meaning, case has.
using EncryptionContext = iam::EncryptionContext;

inline constexpr std::size_t kMaxPlaintext = 4096;
inline constexpr std::size_t kMaxCiphertextBlob = 6144;
// A blob is that much longer than a plaintext below 73 bytes, as the service's are; longer ones have longer lengths.
inline constexpr std::size_t kCiphertextOverhead = 152;

// canonical_context is independent of the order of pairs and injective.
Bytes canonical_context(const EncryptionContext& context);

// CiphertextBlob is a parsed blob: its views alias the input, nothing is authenticated.
struct CiphertextBlob {
  MaterialId material{};
  ByteView header;
  ByteView salt;
  ByteView nonce;
  ByteView sealed;
};

// parse_ciphertext accepts exactly what seal_ciphertext writes. Errors: kMalformed.
Result<CiphertextBlob> parse_ciphertext(ByteView blob);

// seal_ciphertext encrypts at most kMaxPlaintext bytes under a key derived from `key` for this blob alone.
Bytes seal_ciphertext(const Secret& key, const MaterialId& material, const EncryptionContext& context,
                      const Secret& plaintext, Rng& rng);

// open_ciphertext gives the plaintext. Errors: kUntrusted (another key, another context, any damage).
Result<Secret> open_ciphertext(const Secret& key, const CiphertextBlob& blob, const EncryptionContext& context);

}  // namespace casemate::kms
