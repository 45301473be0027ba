// SPDX-License-Identifier: Apache-2.0
#include "x509/issue.h"

#include <chrono>

#include "x509/der.h"

namespace casemate::x509 {
namespace {

Bytes oid(std::string_view content) { return der::element(der::kOid, {as_bytes(content)}); }

std::uint8_t attribute_arc(std::string_view type) {
  if (type == "CN") return 3;
  if (type == "C") return 6;
  if (type == "L") return 7;
  if (type == "ST") return 8;
  if (type == "O") return 10;
  if (type == "OU") return 11;
  CASEMATE_CHECK(false);
}

Bytes encode_time(Seconds time) {
  const std::chrono::sys_seconds point{std::chrono::seconds(time)};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(point - day);
  const int year = static_cast<int>(date.year());
  CASEMATE_CHECK(year >= 1950 && year <= 9999);
  const std::string rest = fmt::format("{:02}{:02}{:02}{:02}{:02}Z", static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  // RFC 5280, 4.1.2.5: UTCTime through 2049.
  if (year < 2050) return der::element(der::kUtcTime, {as_bytes(fmt::format("{:02}{}", year % 100, rest))});
  return der::element(der::kGeneralizedTime, {as_bytes(fmt::format("{:04}{}", year, rest))});
}

Bytes extension(std::string_view id, bool critical, ByteView value) {
  static constexpr std::uint8_t kTrue[] = {der::kBoolean, 1, 0xff};
  return der::element(der::kSequence, {oid(id), critical ? ByteView(kTrue) : ByteView(), der::element(der::kOctetString, {value})});
}

Bytes basic_constraints(const Certificate::BasicConstraints& constraints) {
  static constexpr std::uint8_t kTrue[] = {der::kBoolean, 1, 0xff};
  Bytes length;
  if (constraints.path_length) {
    Bytes number;
    append_be<8>(number, *constraints.path_length);
    length = der::unsigned_integer(number);
  }
  return der::element(der::kSequence, {constraints.ca ? ByteView(kTrue) : ByteView(), length});
}

Bytes key_usage(std::uint16_t bits) {
  Bytes content = {0};
  for (std::size_t first = 0; first < 9; first += 8) {
    std::uint8_t byte = 0;
    for (std::size_t bit = 0; bit < 8; ++bit) {
      if ((bits >> (first + bit) & 1) != 0) byte = static_cast<std::uint8_t>(byte | 0x80 >> bit);
    }
    content.push_back(byte);
  }
  while (content.size() > 1 && content.back() == 0) content.pop_back();
  std::uint8_t unused = 0;
  while (content.size() > 1 && (content.back() >> unused & 1) == 0) ++unused;
  content[0] = unused;
  return der::element(der::kBitString, {content});
}

Bytes encode_extensions(const CertificateTemplate& fields) {
  Bytes list;
  if (const auto& value = fields.basic_constraints) append(list, extension("\x55\x1d\x13", value->critical, basic_constraints(*value)));
  if (const auto& value = fields.authority_key_id) {
    append(list, extension("\x55\x1d\x23", false, der::element(der::kSequence, {der::element(der::context(0), {*value})})));
  }
  if (const auto& value = fields.subject_key_id) append(list, extension("\x55\x1d\x0e", false, der::element(der::kOctetString, {*value})));
  if (const auto& value = fields.key_usage) append(list, extension("\x55\x1d\x0f", value->critical, key_usage(value->bits)));
  if (const auto& value = fields.crl_url) {
    // CRLDistributionPoints: one point with a fullName of one URI.
    const Bytes uri = der::element(der::context(6), {as_bytes(*value)});
    const Bytes name = der::element(der::context_constructed(0), {der::element(der::context_constructed(0), {uri})});
    append(list, extension("\x55\x1d\x1f", false, der::element(der::kSequence, {der::element(der::kSequence, {name})})));
  }
  if (list.empty()) return {};
  return der::element(der::context_constructed(3), {der::element(der::kSequence, {list})});
}

std::string_view signature_oid(crypto::Curve curve) {
  switch (curve) {
    case crypto::Curve::kP256: return "\x2a\x86\x48\xce\x3d\x04\x03\x02";
    case crypto::Curve::kP384: return "\x2a\x86\x48\xce\x3d\x04\x03\x03";
    case crypto::Curve::kP521: return "\x2a\x86\x48\xce\x3d\x04\x03\x04";
  }
  CASEMATE_CHECK(false);
}

}  // namespace

Bytes encode_name(const std::vector<RelativeName>& names) {
  Bytes sets;
  for (const RelativeName& name : names) {
    const std::uint8_t type[] = {0x55, 0x04, attribute_arc(name.type)};
    const std::uint8_t string = name.type == "C" ? der::kPrintableString : der::kUtf8String;
    const Bytes attribute = der::element(der::kSequence, {der::element(der::kOid, {type}), der::element(string, {as_bytes(name.value)})});
    append(sets, der::element(der::kSet, {attribute}));
  }
  return der::element(der::kSequence, {sets});
}

Bytes issue_certificate(const CertificateTemplate& fields, const crypto::EcPrivateKey& issuer_key, Rng& rng) {
  static constexpr std::uint8_t kVersion3[] = {0xa0, 3, der::kInteger, 1, 2};
  const Bytes algorithm = der::element(der::kSequence, {oid(signature_oid(issuer_key.curve()))});
  const Bytes validity = der::element(der::kSequence, {encode_time(fields.not_before), encode_time(fields.not_after)});
  const Bytes tbs = der::element(der::kSequence, {kVersion3, der::unsigned_integer(fields.serial), algorithm, fields.issuer, validity,
                                                  fields.subject, fields.public_key, encode_extensions(fields)});
  const Bytes fixed = issuer_key.sign(crypto::digest(crypto::matching_hash(issuer_key.curve()), tbs), rng);
  const std::size_t half = fixed.size() / 2;
  static constexpr std::uint8_t kWholeBytes[] = {0};
  const Bytes signature = der::element(der::kSequence, {der::unsigned_integer(ByteView(fixed).first(half)),
                                                        der::unsigned_integer(ByteView(fixed).subspan(half))});
  return der::element(der::kSequence, {tbs, algorithm, der::element(der::kBitString, {kWholeBytes, signature})});
}

Bytes key_id(const crypto::EcPublicKey& key) {
  const crypto::Sha256 hash = crypto::sha256(key.point());
  return {hash.begin(), hash.begin() + 20};
}

}  // namespace casemate::x509
