// SPDX-License-Identifier: Apache-2.0
#include "kms/ciphertext.h"

#include <algorithm>

#include "crypto/aes_gcm.h"
#include "crypto/kdf.h"

namespace casemate::kms {
namespace {

using crypto::kGcmNonceSize;
using crypto::kGcmTagSize;

constexpr std::uint8_t kMagic[] = {0x01, 0x02, 0x02, 0x00, 0x78};
constexpr std::uint8_t kSaltMark = 0x01;
constexpr std::size_t kSaltSize = 16;
constexpr std::size_t kHeaderSize = sizeof kMagic + 32 + 1 + kSaltSize;
// The service's plaintext carries 11 bytes of framing whose meaning is not public; ours are zero. They keep blobs of
// equal length, which callers have sized their columns for.
constexpr std::size_t kFraming = 11;

// 1.2.840.113549.1.7.6 and 1.2.840.113549.1.7.1, with tag and length.
constexpr std::uint8_t kEncryptedDataOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06};
constexpr std::uint8_t kVersion0[] = {0x02, 0x01, 0x00};
constexpr std::uint8_t kDataOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
// AlgorithmIdentifier of AES-256-GCM (RFC 5084, 3.2) up to its nonce, and the tag's length after it.
constexpr std::uint8_t kAes256Gcm[] = {0x30, 0x1e, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
                                       0x03, 0x04, 0x01, 0x2e, 0x30, 0x11, 0x04, 0x0c};
constexpr std::uint8_t kTagLength[] = {0x02, 0x01, 0x10};

void append_header(Bytes& out, std::uint8_t tag, std::size_t length) {
  out.push_back(tag);
  if (length >= 0x100) {
    out.push_back(0x82);
    append_be<2>(out, length);
  } else {
    if (length >= 0x80) out.push_back(0x81);
    append_be<1>(out, length);
  }
}

std::size_t element_size(std::size_t length) {
  return length + (length >= 0x100 ? 4 : length >= 0x80 ? 3 : 2);
}

Bytes encode_encrypted_data(ByteView nonce, ByteView sealed) {
  const std::size_t info = sizeof kDataOid + sizeof kAes256Gcm + nonce.size() + sizeof kTagLength + element_size(sealed.size());
  const std::size_t data = sizeof kVersion0 + element_size(info);
  const std::size_t top = sizeof kEncryptedDataOid + element_size(element_size(data));
  Bytes out;
  out.reserve(element_size(top));
  append_header(out, 0x30, top);
  append(out, kEncryptedDataOid);
  append_header(out, 0xa0, element_size(data));
  append_header(out, 0x30, data);
  append(out, kVersion0);
  append_header(out, 0x30, info);
  append(out, kDataOid);
  append(out, kAes256Gcm);
  append(out, nonce);
  append(out, kTagLength);
  append_header(out, 0x80, sealed.size());
  append(out, sealed);
  return out;
}

Secret message_key(const Secret& key, ByteView salt) {
  return crypto::hkdf_sha256(key.expose(), salt, "casemate kms ciphertext 1", crypto::kAes256KeySize);
}

Bytes associated_data(ByteView header, const EncryptionContext& context) {
  Bytes out = to_bytes(header);
  append(out, canonical_context(context));
  return out;
}

}  // namespace

Bytes canonical_context(const EncryptionContext& context) {
  EncryptionContext sorted = context;
  std::sort(sorted.begin(), sorted.end());
  Bytes out;
  append_be<4>(out, sorted.size());
  for (const auto& [name, value] : sorted) {
    append_be<4>(out, name.size());
    append(out, as_bytes(name));
    append_be<4>(out, value.size());
    append(out, as_bytes(value));
  }
  return out;
}

Result<CiphertextBlob> parse_ciphertext(ByteView input) {
  ByteReader reader(input);
  CiphertextBlob blob;
  if (!equal(TRY(reader.read(sizeof kMagic)), kMagic)) return malformed("ciphertext: not one of this service");
  const ByteView material = TRY(reader.read(blob.material.size()));
  std::copy(material.begin(), material.end(), blob.material.begin());
  if (TRY(reader.read_u8()) != kSaltMark) return malformed("ciphertext: salt mark");
  blob.salt = TRY(reader.read(kSaltSize));
  blob.header = input.first(kHeaderSize);
  const std::uint32_t length = TRY(reader.read_u32());
  const ByteView data = reader.rest();
  if (length != data.size()) return malformed("ciphertext: {} bytes of data, want {}", data.size(), length);

  // Everything but nonce and sealed content is fixed, so the blob is found by its length and proven by encoding it
  // again.
  constexpr std::size_t kLeastTail = kGcmTagSize + kFraming + 1;
  if (data.size() < 2 || data.size() > kMaxCiphertextBlob)
    return malformed("ciphertext: {} bytes of data", data.size());
  const auto is_gcm = std::search(data.begin(), data.end(), std::begin(kAes256Gcm), std::end(kAes256Gcm));
  ByteReader tail(data.subspan(static_cast<std::size_t>(is_gcm - data.begin())));
  TRY(tail.read(sizeof kAes256Gcm));
  blob.nonce = TRY(tail.read(kGcmNonceSize));
  TRY(tail.read(sizeof kTagLength));
  if (TRY(tail.read_u8()) != 0x80) return malformed("ciphertext: content");
  const std::uint8_t first = TRY(tail.read_u8());
  if (first >= 0x80) TRY(tail.read(first & 0x7f));
  blob.sealed = tail.rest();
  if (blob.sealed.size() < kLeastTail) return malformed("ciphertext: {} bytes of content", blob.sealed.size());
  if (!equal(encode_encrypted_data(blob.nonce, blob.sealed), data)) return malformed("ciphertext: encoding");
  return blob;
}

Bytes seal_ciphertext(const Secret& key, const MaterialId& material, const EncryptionContext& context,
                      const Secret& plaintext, Rng& rng) {
  CASEMATE_CHECK(!plaintext.empty() && plaintext.size() <= kMaxPlaintext);
  Bytes out;
  out.reserve(kHeaderSize + kFraming + plaintext.size() + 128);
  append(out, kMagic);
  append(out, material);
  out.push_back(kSaltMark);
  std::array<std::uint8_t, kSaltSize + kGcmNonceSize> random;
  rng.fill(random);
  const ByteView salt = ByteView(random).first(kSaltSize);
  const ByteView nonce = ByteView(random).subspan(kSaltSize);
  append(out, salt);

  Secret framed = Secret::of_size(kFraming + plaintext.size());
  std::copy(plaintext.expose().begin(), plaintext.expose().end(), framed.expose_mutable().begin() + kFraming);
  const Bytes sealed =
      crypto::seal_aes_256_gcm(message_key(key, salt).expose(), nonce, associated_data(out, context), framed.expose());
  const Bytes data = encode_encrypted_data(nonce, sealed);
  append_be<4>(out, data.size());
  append(out, data);
  return out;
}

Result<Secret> open_ciphertext(const Secret& key, const CiphertextBlob& blob, const EncryptionContext& context) {
  const Secret framed = TRY(crypto::open_aes_256_gcm(message_key(key, blob.salt).expose(), blob.nonce,
                                                     associated_data(blob.header, context), blob.sealed));
  if (framed.size() < kFraming || !all_zero(framed.expose().first(kFraming))) return untrusted("ciphertext: framing");
  return Secret::copy_of(framed.expose().subspan(kFraming));
}

}  // namespace casemate::kms
