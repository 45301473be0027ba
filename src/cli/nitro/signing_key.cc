// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/signing_key.h"

#include <algorithm>
#include <optional>

#include "casemate/parent.h"
#include "os/file.h"
#include "x509/certificate.h"

namespace casemate::cli::nitro {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr std::size_t kAccountDigits = 12;

bool all_of(std::string_view text, std::string_view set) { return !text.empty() && text.find_first_not_of(set) == std::string_view::npos; }

// next_part takes what stands before the next colon.
std::string_view next_part(std::string_view& rest) {
  const std::size_t colon = std::min(rest.find(':'), rest.size());
  const std::string_view part = rest.substr(0, colon);
  rest.remove_prefix(std::min(colon + 1, rest.size()));
  return part;
}

std::optional<std::string> region_of(std::string_view arn) {
  constexpr std::string_view kName = "abcdefghijklmnopqrstuvwxyz0123456789-";
  if (next_part(arn) != "arn") return std::nullopt;
  const std::string_view partition = next_part(arn);
  if (partition != "aws" && partition != "aws-cn" && partition != "aws-us-gov") return std::nullopt;
  if (next_part(arn) != "kms") return std::nullopt;
  const std::string_view region = next_part(arn);
  const std::string_view account = next_part(arn);
  if (!all_of(region, kName) || account.size() != kAccountDigits || !all_of(account, "0123456789")) return std::nullopt;
  if (!arn.starts_with("key/") && !arn.starts_with("key:")) return std::nullopt;
  if (!all_of(arn.substr(4), kName)) return std::nullopt;
  return std::string(region);
}

std::string_view signing_algorithm(crypto::Curve curve) {
  switch (curve) {
    case crypto::Curve::kP256: return "ECDSA_SHA_256";
    case crypto::Curve::kP384: return "ECDSA_SHA_384";
    case crypto::Curve::kP521: return "ECDSA_SHA_512";
  }
  CASEMATE_CHECK(false);
}

Result<eif::ElsewhereKey> find_kms_key(const std::string& arn, std::string region) {
  const auto client = TRY(kms::Client::create(TRY(parent::kms_options(std::move(region)))));
  const kms::Client::PublicKey found = TRY(client.get_public_key(arn));
  if (found.key_usage != "SIGN_VERIFY") return unsupported("KMS key: usage {}, want SIGN_VERIFY", found.key_usage);
  auto public_key = TRY(crypto::EcPublicKey::from_spki_der(found.public_key).in("KMS key"));
  const std::size_t half = crypto::field_size(public_key.curve());
  const std::string algorithm(signing_algorithm(public_key.curve()));
  auto sign = [client, arn, algorithm, half](ByteView digest) -> Result<Bytes> {
    const Bytes der = TRY(client.sign({arn, to_bytes(digest), algorithm}));
    return x509::fixed_signature(der, half).in("KMS Sign");
  };
  return eif::ElsewhereKey{std::move(public_key), std::move(sign)};
}

}  // namespace

bool is_kms_key_arn(std::string_view text) { return region_of(text).has_value(); }

Result<eif::SigningKey> load_signing_key(const std::string& certificate, const std::string& key, WallTime now) {
  std::string certificate_pem = TRY(os::read_file(certificate, kMaxPem));
  if (auto region = region_of(key)) {
    eif::ElsewhereKey elsewhere = TRY(find_kms_key(key, std::move(*region)));
    TRY(eif::check_signing_certificate(certificate_pem, elsewhere.public_key, now));
    return eif::SigningKey{std::move(certificate_pem), std::move(elsewhere)};
  }
  if (key.starts_with("arn:")) return malformed("--private-key: not the ARN of a KMS key, want arn:aws:kms:REGION:ACCOUNT:key/ID or a PEM file");
  Secret key_pem;
  {
    std::string text = TRY(os::read_file(key, kMaxPem));
    key_pem = Secret::copy_of(as_bytes(text));
    zeroize(text.data(), text.size());
  }
  return eif::parse_signing_key(std::move(certificate_pem), as_text(key_pem.expose()), now);
}

}  // namespace casemate::cli::nitro
