// SPDX-License-Identifier: Apache-2.0
#include "eif/signature.h"

#include <algorithm>

#include "cbor/reader.h"
#include "cbor/writer.h"
#include "eif/format.h"
#include "x509/certificate.h"

namespace casemate::eif {

namespace {

void write_integers(cbor::Writer& writer, ByteView bytes) {
  writer.array(bytes.size());
  for (const std::uint8_t byte : bytes) writer.unsigned_integer(byte);
}

Result<Bytes> read_integers(cbor::Reader& reader) {
  if (TRY(reader.peek()) == cbor::Type::kBytes) return to_bytes(TRY(reader.read_bytes()));
  const std::uint64_t count = TRY(reader.read_array());
  Bytes bytes;
  bytes.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t value = TRY(reader.read_unsigned());
    if (value > 0xff) return malformed("byte {}: {}, want at most 255", i, value);
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

Bytes encode_payload(const Sha384& pcr0) {
  cbor::Writer writer;
  writer.map(2).text("register_index").unsigned_integer(0).text("register_value");
  write_integers(writer, pcr0);
  return writer.take();
}

Result<Sha384> parse_payload(ByteView payload) {
  cbor::Reader reader(payload);
  auto map = TRY(reader.read_map());
  cbor::TextKeys keys;
  std::optional<std::uint64_t> index;
  std::optional<Bytes> value;
  while (TRY(reader.next(map))) {
    const std::string_view key = TRY(reader.read_text());
    TRY(keys.add(key));
    if (key == "register_index") {
      index = TRY(reader.read_integer());
    } else if (key == "register_value") {
      value = TRY(read_integers(reader).in("register_value"));
    } else {
      TRY(reader.skip());
    }
  }
  TRY(reader.finish());
  if (!index || !value) return malformed("want register_index and register_value");
  if (*index != 0) return malformed("register_index: {}, want 0", *index);
  Sha384 pcr{};
  if (value->size() != pcr.size()) return malformed("register_value: {} bytes, want {}", value->size(), pcr.size());
  std::copy(value->begin(), value->end(), pcr.begin());
  return pcr;
}

Result<void> check_validity(const x509::Certificate& certificate, WallTime now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  if (seconds < certificate.not_before) return untrusted("signing certificate is not valid yet");
  if (seconds > certificate.not_after) return untrusted("signing certificate has expired");
  return {};
}

}  // namespace

Result<Bytes> certificate_of(std::string_view pem) {
  auto certificates = TRY(x509::parse_certificates_pem(pem).in("signing certificate"));
  if (certificates.empty()) return malformed("signing certificate: no PEM certificate in the file");
  return std::move(certificates.front());
}

Result<Signature> parse_signature(ByteView section) {
  cbor::Reader reader(section);
  const std::uint64_t count = TRY(reader.read_array());
  if (count == 0) return malformed("no signature in the section");
  Signature signature;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto map = TRY(reader.read_map());
    cbor::TextKeys keys;
    std::optional<Bytes> certificate;
    std::optional<Bytes> cose;
    while (TRY(reader.next(map))) {
      const std::string_view key = TRY(reader.read_text());
      TRY(keys.add(key));
      if (key == "signing_certificate") {
        certificate = TRY(read_integers(reader).in(key));
      } else if (key == "signature") {
        cose = TRY(read_integers(reader).in(key));
      } else {
        TRY(reader.skip());
      }
    }
    if (!certificate || !cose) return malformed("signature {}: want signing_certificate and signature", i);
    if (i > 0) continue;
    signature.certificate_pem = as_text(*certificate);
    signature.cose = std::move(*cose);
  }
  TRY(reader.finish());
  signature.certificate = TRY(certificate_of(signature.certificate_pem));
  const cose::Sign1 message = TRY(cose::parse_sign1(signature.cose));
  signature.pcr0 = TRY(parse_payload(message.payload).in("payload"));
  return signature;
}

Result<void> verify(const Signature& signature, std::optional<WallTime> now) {
  const x509::Certificate certificate = TRY(x509::parse_certificate(signature.certificate, x509::Versions::kAlso1).in("signing certificate"));
  const auto key = TRY(crypto::EcPublicKey::from_spki_der(certificate.public_key).in("signing certificate"));
  TRY(cose::verify_signature(TRY(cose::parse_sign1(signature.cose)), key));
  if (now) TRY(check_validity(certificate, *now));
  return {};
}

Result<void> check_signing_certificate(std::string_view certificate_pem, const crypto::EcPublicKey& key, WallTime now) {
  const Bytes der = TRY(certificate_of(certificate_pem));
  const x509::Certificate certificate = TRY(x509::parse_certificate(der, x509::Versions::kAlso1).in("signing certificate"));
  const auto public_key = TRY(crypto::EcPublicKey::from_spki_der(certificate.public_key).in("signing certificate"));
  if (!(key == public_key)) return untrusted("private key does not belong to the signing certificate");
  return check_validity(certificate, now);
}

Result<SigningKey> parse_signing_key(std::string certificate_pem, std::string_view key_pem, WallTime now) {
  auto key = TRY(crypto::EcPrivateKey::from_pem(key_pem).in("private key"));
  TRY(check_signing_certificate(certificate_pem, key.public_key(), now));
  return SigningKey{std::move(certificate_pem), std::move(key)};
}

Result<Bytes> encode_signature(const SigningKey& signing, const Sha384& pcr0, Rng& rng) {
  const Bytes payload = encode_payload(pcr0);
  Bytes message;
  if (const auto* elsewhere = std::get_if<ElsewhereKey>(&signing.key)) {
    message = TRY(cose::sign1_elsewhere(payload, elsewhere->public_key, elsewhere->sign));
  } else {
    message = cose::sign1(payload, std::get<crypto::EcPrivateKey>(signing.key), rng);
  }
  cbor::Writer writer;
  writer.array(1).map(2).text("signing_certificate");
  write_integers(writer, as_bytes(signing.certificate_pem));
  writer.text("signature");
  write_integers(writer, message);
  if (writer.view().size() > kMaxSignatureBytes) {
    return over_limit("signature section of {} bytes, limit {}: shorten the certificate file", writer.view().size(), kMaxSignatureBytes);
  }
  return writer.take();
}

}  // namespace casemate::eif
