// SPDX-License-Identifier: Apache-2.0
#include "crypto/ecdsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <limits>

#include "base/encoding.h"
#include "crypto/openssl.h"
#include "crypto/p384.h"

namespace casemate::crypto {
namespace {

using Pkey = PkeyHandle;
using Bignum = std::unique_ptr<BIGNUM, FreeWith<BN_clear_free>>;
using BignumContext = std::unique_ptr<BN_CTX, FreeWith<BN_CTX_free>>;
using Group = std::unique_ptr<EC_GROUP, FreeWith<EC_GROUP_free>>;
using GroupPoint = std::unique_ptr<EC_POINT, FreeWith<EC_POINT_clear_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using DerSignature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;

struct CurveFacts {
  Curve curve;
  std::string_view name;
  const char* openssl_name;
  int nid;
  std::size_t field_size;
  Hash hash;
  ByteView spki_prefix;  // everything of the SubjectPublicKeyInfo before the point (RFC 5480, 2)
};

constexpr std::uint8_t kSpkiP256[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                      0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::uint8_t kSpkiP384[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                      0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00};
constexpr std::uint8_t kSpkiP521[] = {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                      0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00};

constexpr CurveFacts kCurves[] = {
    {Curve::kP256, "P-256", "prime256v1", NID_X9_62_prime256v1, 32, Hash::kSha256, kSpkiP256},
    {Curve::kP384, "P-384", "secp384r1", NID_secp384r1, 48, Hash::kSha384, kSpkiP384},
    {Curve::kP521, "P-521", "secp521r1", NID_secp521r1, 66, Hash::kSha512, kSpkiP521},
};

const CurveFacts& facts(Curve curve) {
  for (const CurveFacts& entry : kCurves) {
    if (entry.curve == curve) return entry;
  }
  CASEMATE_CHECK(false);
}

// drain_errors keeps OpenSSL's per-thread queue empty, so that no later call reports this one's failure.
void drain_errors() { ERR_clear_error(); }

Pkey public_pkey(Curve curve, ByteView point) {
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  CASEMATE_CHECK(context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1);
  // OSSL_PARAM has no const half; the values are only read.
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(facts(curve).openssl_name), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::uint8_t*>(point.data()), point.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* raw = nullptr;
  const bool made = EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params) == 1;
  Pkey key(raw);
  drain_errors();
  return made ? std::move(key) : nullptr;
}

Pkey private_pkey(const EcPrivateKey& key) {
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  CASEMATE_CHECK(context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1);
  const ByteView point = key.public_key().point();
  // OSSL_PARAM wants integers in native order, which is little-endian on every machine that we build for.
  Secret scalar = key.scalar().clone();
  std::reverse(scalar.expose_mutable().begin(), scalar.expose_mutable().end());
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(facts(key.curve()).openssl_name), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::uint8_t*>(point.data()), point.size()),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar.expose_mutable().data(), scalar.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* raw = nullptr;
  CASEMATE_CHECK(EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_KEYPAIR, params) == 1);
  return Pkey(raw);
}

// derive_point gives 04 || x || y of scalar * G.
Bytes derive_point(Curve curve, const Secret& scalar) {
  const Group group(EC_GROUP_new_by_curve_name(facts(curve).nid));
  const BignumContext context(BN_CTX_secure_new());
  const Bignum number(BN_secure_new());
  CASEMATE_CHECK(group && context && number);
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  CASEMATE_CHECK(BN_bin2bn(scalar.expose().data(), static_cast<int>(scalar.size()), number.get()) != nullptr);
  const GroupPoint point(EC_POINT_new(group.get()));
  CASEMATE_CHECK(point && EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, context.get()) == 1);
  Bytes out(1 + 2 * field_size(curve));
  CASEMATE_CHECK(EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(),
                                    context.get()) == out.size());
  return out;
}

bool scalar_in_range(Curve curve, ByteView scalar) {
  if (scalar.size() != field_size(curve)) return false;
  if (curve == Curve::kP384) return p384::scalar_in_range(scalar);
  const Group group(EC_GROUP_new_by_curve_name(facts(curve).nid));
  const Bignum number(BN_secure_new());
  CASEMATE_CHECK(group && number);
  CASEMATE_CHECK(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), number.get()) != nullptr);
  return !BN_is_zero(number.get()) && BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) < 0;
}

Bytes from_der_signature(Curve curve, ByteView der) {
  const std::uint8_t* cursor = der.data();
  const DerSignature signature(d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der.size())));
  CASEMATE_CHECK(signature != nullptr);
  const std::size_t half = field_size(curve);
  Bytes out(2 * half);
  CASEMATE_CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out.data(), static_cast<int>(half)) ==
                 static_cast<int>(half));
  CASEMATE_CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out.data() + half, static_cast<int>(half)) ==
                 static_cast<int>(half));
  return out;
}

std::optional<Bytes> to_der_signature(ByteView fixed) {
  const std::size_t half = fixed.size() / 2;
  const DerSignature signature(ECDSA_SIG_new());
  Bignum r(BN_bin2bn(fixed.data(), static_cast<int>(half), nullptr));
  Bignum s(BN_bin2bn(fixed.data() + half, static_cast<int>(half), nullptr));
  CASEMATE_CHECK(signature && r && s);
  CASEMATE_CHECK(ECDSA_SIG_set0(signature.get(), r.release(), s.release()) == 1);
  std::uint8_t* raw = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &raw);
  if (size <= 0) return std::nullopt;
  Bytes out(raw, raw + size);
  OPENSSL_free(raw);
  return out;
}

Bytes openssl_sign(const EcPrivateKey& key, EVP_PKEY* pkey, ByteView digest) {
  const PkeyContext context(EVP_PKEY_CTX_new(pkey, nullptr));
  CASEMATE_CHECK(context && EVP_PKEY_sign_init(context.get()) == 1);
  std::size_t size = 0;
  CASEMATE_CHECK(EVP_PKEY_sign(context.get(), nullptr, &size, digest.data(), digest.size()) == 1);
  Bytes der(size);
  CASEMATE_CHECK(EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(), digest.size()) == 1);
  der.resize(size);
  return from_der_signature(key.curve(), der);
}

bool openssl_verify(const EcPublicKey& key, EVP_PKEY* pkey, ByteView digest, ByteView signature) {
  if (signature.size() != 2 * field_size(key.curve())) return false;
  const auto der = to_der_signature(signature);
  if (!der) return false;
  const PkeyContext context(EVP_PKEY_CTX_new(pkey, nullptr));
  CASEMATE_CHECK(context && EVP_PKEY_verify_init(context.get()) == 1);
  const bool good = EVP_PKEY_verify(context.get(), der->data(), der->size(), digest.data(), digest.size()) == 1;
  drain_errors();
  return good;
}

constexpr std::string_view kPublicBegin = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view kPublicEnd = "-----END PUBLIC KEY-----";

std::string pem_of(std::string_view begin, std::string_view end, ByteView der) {
  const std::string text = encode_base64(der);
  std::string out(begin);
  out += '\n';
  for (std::size_t at = 0; at < text.size(); at += 64) {
    out += text.substr(at, 64);
    out += '\n';
  }
  out += end;
  out += '\n';
  return out;
}

Result<EcPrivateKey> from_pkey(const EVP_PKEY* pkey) {
  char name[64] = {};
  std::size_t name_size = 0;
  if (EVP_PKEY_is_a(pkey, "EC") != 1 || EVP_PKEY_get_group_name(pkey, name, sizeof name, &name_size) != 1) {
    return unsupported("private key: {}, want an EC key on a named curve",
                       EVP_PKEY_get0_type_name(pkey) != nullptr ? EVP_PKEY_get0_type_name(pkey) : "of unknown type");
  }
  for (const CurveFacts& entry : kCurves) {
    if (std::string_view(name, name_size) != entry.openssl_name) continue;
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &raw) != 1) return malformed("private key: no scalar in it");
    const Bignum number(raw);
    Secret scalar = Secret::of_size(entry.field_size);
    if (BN_bn2binpad(number.get(), scalar.expose_mutable().data(), static_cast<int>(entry.field_size)) !=
        static_cast<int>(entry.field_size)) {
      return malformed("private key: scalar of {} bits, want at most {}", BN_num_bits(number.get()), entry.field_size * 8);
    }
    return EcPrivateKey::from_scalar(entry.curve, scalar);
  }
  return unsupported("private key: curve {}, want P-256, P-384 or P-521", std::string_view(name, name_size));
}

}  // namespace

struct EcPublicKey::State {
  Curve curve;
  Bytes point;
  p384::Point fast;  // P-384
  Pkey pkey;         // the other curves
};

std::string_view to_string(Curve curve) { return facts(curve).name; }
std::size_t field_size(Curve curve) { return facts(curve).field_size; }
Hash matching_hash(Curve curve) { return facts(curve).hash; }

Result<EcPublicKey> EcPublicKey::from_point(Curve curve, ByteView point) {
  const std::size_t half = field_size(curve);
  if (!point.empty() && (point[0] == 2 || point[0] == 3)) return unsupported("public key: compressed point, want an uncompressed one");
  if (point.size() != 1 + 2 * half || point[0] != 4) {
    return malformed("public key: point of {} bytes, want 04 and {} bytes for {}", point.size(), 2 * half, to_string(curve));
  }
  auto state = std::make_shared<State>();
  state->curve = curve;
  state->point = to_bytes(point);
  if (curve == Curve::kP384) {
    const auto fast = p384::load_point(point.subspan(1, half), point.subspan(1 + half));
    if (!fast) return malformed("public key: the point is not on {}", to_string(curve));
    state->fast = *fast;
  } else {
    state->pkey = public_pkey(curve, point);
    if (!state->pkey) return malformed("public key: the point is not on {}", to_string(curve));
  }
  return EcPublicKey(std::move(state));
}

Result<EcPublicKey> EcPublicKey::from_spki_der(ByteView der) {
  for (const CurveFacts& entry : kCurves) {
    const std::size_t prefix = entry.spki_prefix.size();
    if (der.size() == prefix + 1 + 2 * entry.field_size && equal(der.first(prefix), entry.spki_prefix)) {
      return from_point(entry.curve, der.subspan(prefix));
    }
  }
  return unsupported("public key: {} bytes that are no SubjectPublicKeyInfo with an uncompressed point on P-256, P-384 or P-521",
                     der.size());
}

Result<EcPublicKey> EcPublicKey::from_pem(std::string_view pem) {
  const std::size_t begin = pem.find(kPublicBegin);
  const std::size_t end = pem.find(kPublicEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    return malformed("public key: no PUBLIC KEY block in the PEM text");
  }
  std::string base64;
  for (const char c : pem.substr(begin + kPublicBegin.size(), end - begin - kPublicBegin.size())) {
    if (c != '\n' && c != '\r' && c != ' ' && c != '\t') base64.push_back(c);
  }
  const Bytes der = TRY(decode_base64(base64).in("public key"));
  return from_spki_der(der);
}

Curve EcPublicKey::curve() const { return state_->curve; }
ByteView EcPublicKey::point() const { return state_->point; }

Bytes EcPublicKey::spki_der() const {
  Bytes out = to_bytes(facts(state_->curve).spki_prefix);
  append(out, state_->point);
  return out;
}

std::string EcPublicKey::pem() const { return pem_of(kPublicBegin, kPublicEnd, spki_der()); }

bool EcPublicKey::verify(ByteView digest, ByteView signature) const {
  if (state_->curve == Curve::kP384) return p384::verify(state_->fast, digest, signature);
  return openssl_verify(*this, state_->pkey.get(), digest, signature);
}

EcPrivateKey EcPrivateKey::generate(Curve curve, Rng& rng) {
  Secret scalar = Secret::of_size(field_size(curve));
  do {
    rng.fill(scalar.expose_mutable());
    // n of P-521 has 521 bits in 528: without the mask all but one candidate in 128 would be thrown away.
    if (curve == Curve::kP521) scalar.expose_mutable()[0] &= 1;
  } while (!scalar_in_range(curve, scalar.expose()));
  return from_scalar(curve, scalar).take();
}

Result<EcPrivateKey> EcPrivateKey::from_scalar(Curve curve, const Secret& scalar) {
  if (scalar.size() != field_size(curve)) {
    return malformed("private key: {} bytes, want {} for {}", scalar.size(), field_size(curve), to_string(curve));
  }
  if (!scalar_in_range(curve, scalar.expose())) return malformed("private key: scalar outside [1, n-1] of {}", to_string(curve));
  EcPublicKey public_key = TRY(EcPublicKey::from_point(curve, derive_point(curve, scalar)));
  return EcPrivateKey(scalar.clone(), std::move(public_key));
}

Result<EcPrivateKey> EcPrivateKey::from_der(ByteView der) {
  if (der.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return over_limit("private key: {} bytes", der.size());
  const std::uint8_t* cursor = der.data();
  const Pkey pkey(d2i_AutoPrivateKey(nullptr, &cursor, static_cast<long>(der.size())));
  drain_errors();
  if (!pkey) return malformed("private key: {} bytes that are neither PKCS#8 nor SEC 1", der.size());
  if (cursor != der.data() + der.size()) return malformed("private key: bytes after its end");
  return from_pkey(pkey.get());
}

Result<EcPrivateKey> EcPrivateKey::from_pem(std::string_view pem) {
  if (pem.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return over_limit("private key: {} bytes", pem.size());
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CASEMATE_CHECK(bio != nullptr);
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const Pkey pkey(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  drain_errors();
  if (!pkey) return malformed("private key: no unencrypted PRIVATE KEY or EC PRIVATE KEY block in the PEM text");
  return from_pkey(pkey.get());
}

Secret EcPrivateKey::pkcs8_der() const {
  const Pkey pkey = private_pkey(*this);
  const Bio bio(BIO_new(BIO_s_secmem()));
  CASEMATE_CHECK(bio && i2d_PKCS8PrivateKey_bio(bio.get(), pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  CASEMATE_CHECK(size > 0);
  return Secret::copy_of(as_bytes({data, static_cast<std::size_t>(size)}));
}

Secret EcPrivateKey::pkcs8_pem() const {
  const Pkey pkey = private_pkey(*this);
  const Bio bio(BIO_new(BIO_s_secmem()));
  CASEMATE_CHECK(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  CASEMATE_CHECK(size > 0);
  return Secret::copy_of(as_bytes({data, static_cast<std::size_t>(size)}));
}

Bytes EcPrivateKey::sign(ByteView digest, Rng& rng) const {
  if (curve() != Curve::kP384) return reference::sign(*this, digest);
  Bytes signature(2 * p384::kFieldSize);
  Secret seed = Secret::of_size(32 + digest.size());
  const auto fresh = seed.expose_mutable().first(32);
  std::copy(digest.begin(), digest.end(), seed.expose_mutable().begin() + 32);
  for (;;) {
    rng.fill(fresh);
    // A source stuck at one value must not make a rejected candidate come back for ever.
    for (std::uint8_t attempt = 0; attempt < 8; ++attempt) {
      const Secret nonce(hmac(Hash::kSha512, scalar_.expose(), seed.expose()));
      if (p384::sign_with_nonce(scalar_.expose(), nonce.expose().first(p384::kFieldSize), digest,
                                std::span<std::uint8_t, 96>(signature))) {
        return signature;
      }
      fresh[0] = static_cast<std::uint8_t>(fresh[0] + 1);
    }
  }
}

namespace reference {

Bytes sign(const EcPrivateKey& key, ByteView digest) { return openssl_sign(key, private_pkey(key).get(), digest); }

bool verify(const EcPublicKey& key, ByteView digest, ByteView signature) {
  const Pkey pkey = public_pkey(key.curve(), key.point());
  return pkey != nullptr && openssl_verify(key, pkey.get(), digest, signature);
}

}  // namespace reference

}  // namespace casemate::crypto
