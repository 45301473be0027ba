// SPDX-License-Identifier: Apache-2.0
// CMS EnvelopedData (RFC 5652, 6) as KMS writes it for an attested recipient: one KeyTransRecipientInfo with a subject
// key identifier, RSAES-OAEP with SHA-256, AES-256-CBC. Deployed clients depend on where the lengths are indefinite.
#pragma once

#include "base/clock.h"
#include "crypto/rsa.h"

namespace casemate::crypto {

// The largest content that either direction handles.
inline constexpr std::size_t kMaxEnvelopeContent = 64 * 1024;

// encode_enveloped_data encrypts `content` to `recipient` under a fresh content key. The subject key identifier is
// SHA-256 of the recipient's SubjectPublicKeyInfo. Errors: kLimit (content above kMaxEnvelopeContent).
Result<Bytes> encode_enveloped_data(const RsaPublicKey& recipient, const Secret& content, Rng& rng);

// open_enveloped_data reads exactly the form above: lengths are indefinite where KMS writes them so, content is in chunks,
// there is one recipient, and its identifier is that of `key`. Errors: kUntrusted with one text, whatever the reason, and no
// branch on what RSA or the padding yields.
Result<Secret> open_enveloped_data(ByteView envelope, const RsaPrivateKey& key, Rng& rng);

}  // namespace casemate::crypto
