// SPDX-License-Identifier: Apache-2.0
#include "kms/key.h"

#include <algorithm>

#include "base/check.h"

namespace casemate::kms {
namespace {

using std::string_view;

constexpr string_view kUsageNames[] = {"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT",
                                       "ENCAPSULATE_DECAPSULATE"};
constexpr string_view kOriginNames[] = {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"};
constexpr string_view kStateNames[] = {
    "Creating",      "Enabled",     "Disabled", "PendingDeletion", "PendingReplicaDeletion",
    "PendingImport", "Unavailable", "Updating"};

constexpr KeyUsage kEncryption[] = {KeyUsage::kEncryptDecrypt};
constexpr KeyUsage kSigning[] = {KeyUsage::kSignVerify};
constexpr KeyUsage kMac[] = {KeyUsage::kGenerateVerifyMac};
constexpr KeyUsage kEncapsulation[] = {KeyUsage::kEncapsulateDecapsulate};
constexpr KeyUsage kEncryptionOrSigning[] = {KeyUsage::kEncryptDecrypt, KeyUsage::kSignVerify};
constexpr KeyUsage kSigningOrAgreement[] = {KeyUsage::kSignVerify, KeyUsage::kKeyAgreement};
constexpr KeyUsage kAnyOfSm2[] = {KeyUsage::kEncryptDecrypt, KeyUsage::kSignVerify, KeyUsage::kKeyAgreement};

constexpr string_view kSymmetric[] = {"SYMMETRIC_DEFAULT"};
constexpr string_view kOaep[] = {"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"};
constexpr string_view kSm2Encryption[] = {"SM2PKE"};
constexpr string_view kRsaSigning[] = {"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384",
                                       "RSASSA_PKCS1_V1_5_SHA_512", "RSASSA_PSS_SHA_256",
                                       "RSASSA_PSS_SHA_384",        "RSASSA_PSS_SHA_512"};
constexpr string_view kEcdsa256[] = {"ECDSA_SHA_256"};
constexpr string_view kEcdsa384[] = {"ECDSA_SHA_384"};
constexpr string_view kEcdsa512[] = {"ECDSA_SHA_512"};
constexpr string_view kEdDsa[] = {"ED25519_SHA_512", "ED25519_PH_SHA_512"};
constexpr string_view kSm2Signing[] = {"SM2DSA"};
constexpr string_view kMlDsa[] = {"ML_DSA_SHAKE_256"};
constexpr string_view kEcdh[] = {"ECDH"};
constexpr string_view kHmac224[] = {"HMAC_SHA_224"};
constexpr string_view kHmac256[] = {"HMAC_SHA_256"};
constexpr string_view kHmac384[] = {"HMAC_SHA_384"};
constexpr string_view kHmac512[] = {"HMAC_SHA_512"};

// In the order of the enumeration.
constexpr SpecTraits kTraits[] = {
    {KeySpec::kSymmetricDefault, "SYMMETRIC_DEFAULT", kEncryption, kSymmetric, {}, {}, {}},
    {KeySpec::kRsa2048, "RSA_2048", kEncryptionOrSigning, kOaep, kRsaSigning, {}, {}},
    {KeySpec::kRsa3072, "RSA_3072", kEncryptionOrSigning, kOaep, kRsaSigning, {}, {}},
    {KeySpec::kRsa4096, "RSA_4096", kEncryptionOrSigning, kOaep, kRsaSigning, {}, {}},
    {KeySpec::kEccNistP256, "ECC_NIST_P256", kSigningOrAgreement, {}, kEcdsa256, kEcdh, {}},
    {KeySpec::kEccNistP384, "ECC_NIST_P384", kSigningOrAgreement, {}, kEcdsa384, kEcdh, {}},
    {KeySpec::kEccNistP521, "ECC_NIST_P521", kSigningOrAgreement, {}, kEcdsa512, kEcdh, {}},
    {KeySpec::kEccSecgP256k1, "ECC_SECG_P256K1", kSigning, {}, kEcdsa256, {}, {}},
    {KeySpec::kEccNistEdwards25519, "ECC_NIST_EDWARDS25519", kSigning, {}, kEdDsa, {}, {}},
    {KeySpec::kHmac224, "HMAC_224", kMac, {}, {}, {}, kHmac224},
    {KeySpec::kHmac256, "HMAC_256", kMac, {}, {}, {}, kHmac256},
    {KeySpec::kHmac384, "HMAC_384", kMac, {}, {}, {}, kHmac384},
    {KeySpec::kHmac512, "HMAC_512", kMac, {}, {}, {}, kHmac512},
    {KeySpec::kSm2, "SM2", kAnyOfSm2, kSm2Encryption, kSm2Signing, kEcdh, {}},
    {KeySpec::kMlDsa44, "ML_DSA_44", kSigning, {}, kMlDsa, {}, {}},
    {KeySpec::kMlDsa65, "ML_DSA_65", kSigning, {}, kMlDsa, {}, {}},
    {KeySpec::kMlDsa87, "ML_DSA_87", kSigning, {}, kMlDsa, {}, {}},
    {KeySpec::kMlKem512, "ML_KEM_512", kEncapsulation, {}, {}, {}, {}},
    {KeySpec::kMlKem768, "ML_KEM_768", kEncapsulation, {}, {}, {}, {}},
    {KeySpec::kMlKem1024, "ML_KEM_1024", kEncapsulation, {}, {}, {}, {}},
};

template <typename Enum, std::size_t N>
std::optional<Enum> parse_name(const string_view (&names)[N], string_view text) {
  const auto it = std::find(std::begin(names), std::end(names), text);
  if (it == std::end(names)) return std::nullopt;
  return static_cast<Enum>(it - std::begin(names));
}

constexpr string_view kRotationNames[] = {"", "AUTOMATIC", "ON_DEMAND"};

}  // namespace

const SpecTraits& traits_of(KeySpec spec) {
  const SpecTraits& traits = kTraits[static_cast<std::size_t>(spec)];
  CASEMATE_CHECK(traits.spec == spec);
  return traits;
}

bool permits(KeySpec spec, KeyUsage usage) {
  const auto usages = traits_of(spec).usages;
  return std::find(usages.begin(), usages.end(), usage) != usages.end();
}

string_view to_string(KeySpec spec) {
  return traits_of(spec).name;
}
string_view to_string(KeyUsage usage) {
  return kUsageNames[static_cast<std::size_t>(usage)];
}
string_view to_string(KeyOrigin origin) {
  return kOriginNames[static_cast<std::size_t>(origin)];
}
string_view to_string(KeyState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}

std::optional<KeySpec> parse_key_spec(string_view text) {
  for (const SpecTraits& traits : kTraits) {
    if (traits.name == text) return traits.spec;
  }
  return std::nullopt;
}
std::optional<KeyUsage> parse_key_usage(string_view text) {
  return parse_name<KeyUsage>(kUsageNames, text);
}
std::optional<KeyOrigin> parse_key_origin(string_view text) {
  return parse_name<KeyOrigin>(kOriginNames, text);
}
string_view to_string(RotationType type) {
  return kRotationNames[static_cast<std::size_t>(type)];
}
std::optional<RotationType> parse_rotation_type(string_view text) {
  return parse_name<RotationType>(kRotationNames, text);
}
std::optional<KeyState> parse_key_state(string_view text) {
  return parse_name<KeyState>(kStateNames, text);
}

}  // namespace casemate::kms
