// SPDX-License-Identifier: Apache-2.0
#include "kms/root_key.h"

#include "crypto/aes_gcm.h"
#include "crypto/kdf.h"

namespace casemate::kms {
namespace {

Bytes associated_data(std::string_view key_arn, const MaterialId& id, std::uint32_t version) {
  Bytes out = to_bytes(as_bytes("casemate material 1"));
  append_be<4>(out, key_arn.size());
  append(out, as_bytes(key_arn));
  append(out, id);
  append_be<4>(out, version);
  return out;
}

}  // namespace

RootKey::RootKey(Secret root) : root_(std::move(root)), wrapping_(derive("material wrapping")) {}

Result<RootKey> RootKey::from(Secret bytes) {
  if (bytes.size() != kSize) return malformed("root key: {} bytes, want {}", bytes.size(), kSize);
  return RootKey(std::move(bytes));
}

RootKey RootKey::generate(Rng& rng) {
  Secret bytes = Secret::of_size(kSize);
  rng.fill(bytes.expose_mutable());
  return RootKey(std::move(bytes));
}

Secret RootKey::derive(std::string_view purpose) const {
  return crypto::hkdf_sha256(root_.expose(), as_bytes("casemate root key"), purpose, 32);
}

Bytes RootKey::check_value() const {
  return to_bytes(derive("check value").expose());
}

Bytes RootKey::wrap_material(std::string_view key_arn, const MaterialId& id, std::uint32_t version,
                             const Secret& material, Rng& rng) const {
  Bytes out(crypto::kGcmNonceSize);
  rng.fill(out);
  const Bytes sealed =
      crypto::seal_aes_256_gcm(wrapping_.expose(), out, associated_data(key_arn, id, version), material.expose());
  append(out, sealed);
  return out;
}

Result<Secret> RootKey::unwrap_material(std::string_view key_arn, const MaterialId& id, std::uint32_t version,
                                        ByteView wrapped) const {
  if (wrapped.size() < crypto::kGcmNonceSize) return untrusted("key material: {} bytes", wrapped.size());
  return crypto::open_aes_256_gcm(wrapping_.expose(), wrapped.first(crypto::kGcmNonceSize),
                                  associated_data(key_arn, id, version), wrapped.subspan(crypto::kGcmNonceSize));
}

}  // namespace casemate::kms
