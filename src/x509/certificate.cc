// SPDX-License-Identifier: Apache-2.0
#include "x509/certificate.h"

#include <algorithm>
#include <chrono>

#include "base/encoding.h"
#include "x509/der.h"

namespace casemate::x509 {
namespace {

using der::Element;
using der::Reader;

// Content octets of the object identifiers that we know (RFC 5280, RFC 5758, X.520).
constexpr std::string_view kEcdsaSha256("\x2a\x86\x48\xce\x3d\x04\x03\x02", 8);
constexpr std::string_view kEcdsaSha384("\x2a\x86\x48\xce\x3d\x04\x03\x03", 8);
constexpr std::string_view kEcdsaSha512("\x2a\x86\x48\xce\x3d\x04\x03\x04", 8);
constexpr std::string_view kSubjectKeyId("\x55\x1d\x0e", 3);
constexpr std::string_view kKeyUsage("\x55\x1d\x0f", 3);
constexpr std::string_view kBasicConstraints("\x55\x1d\x13", 3);
constexpr std::string_view kAuthorityKeyId("\x55\x1d\x23", 3);

struct AttributeType {
  std::string_view oid;
  std::string_view long_name;
  std::string_view short_name;
};
constexpr AttributeType kAttributeTypes[] = {
    {std::string_view("\x55\x04\x03", 3), "commonName", "CN"},
    {std::string_view("\x55\x04\x05", 3), "serialNumber", "serialNumber"},
    {std::string_view("\x55\x04\x06", 3), "countryName", "C"},
    {std::string_view("\x55\x04\x07", 3), "localityName", "L"},
    {std::string_view("\x55\x04\x08", 3), "stateOrProvinceName", "ST"},
    {std::string_view("\x55\x04\x09", 3), "streetAddress", "street"},
    {std::string_view("\x55\x04\x0a", 3), "organizationName", "O"},
    {std::string_view("\x55\x04\x0b", 3), "organizationalUnitName", "OU"},
    {std::string_view("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9), "emailAddress", "emailAddress"},
};

// RFC 5280 puts no bound on extensions; real certificates have fewer than ten.
constexpr std::size_t kMaxExtensions = 32;
// RFC 5280, 4.1.2.2.
constexpr std::size_t kMaxSerialBytes = 20;

// read_time reads a Time (RFC 5280, 4.1.2.5): UTCTime up to 2049, GeneralizedTime from 2050, both in whole seconds, Z.
Result<Seconds> read_time(Reader& reader, std::string_view what) {
  const Element element = TRY(reader.read_any(what));
  const std::string_view text = as_text(element.content);
  const bool utc = element.tag == der::kUtcTime;
  if (!utc && element.tag != der::kGeneralizedTime) return malformed("{}: tag {:#04x}, want a time", what, element.tag);
  const std::size_t year_digits = utc ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z') return malformed("{}: time of {} characters", what, text.size());
  if (!std::all_of(text.begin(), text.end() - 1, [](char c) { return c >= '0' && c <= '9'; })) return malformed("{}: time with a character that is no digit", what);
  const auto number = [text](std::size_t at, std::size_t digits) {
    unsigned value = 0;
    for (std::size_t i = 0; i < digits; ++i) value = value * 10 + static_cast<unsigned>(text[at + i] - '0');
    return value;
  };
  unsigned year = number(0, year_digits);
  if (utc) {
    year += year < 50 ? 2000 : 1900;
  } else if (year < 2050) {
    return malformed("{}: GeneralizedTime for the year {}, want UTCTime", what, year);
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::month(number(year_digits, 2)),
                                         std::chrono::day(number(year_digits + 2, 2))};
  const unsigned hour = number(year_digits + 4, 2);
  const unsigned minute = number(year_digits + 6, 2);
  const unsigned second = number(year_digits + 8, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return malformed("{}: no such date and time", what);
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return Seconds{days} * 86400 + hour * 3600 + minute * 60 + second;
}

// for_each_attribute walks a Name: SEQUENCE OF SET OF SEQUENCE { type, value }.
template <typename Visit>
Result<void> for_each_attribute(ByteView name, std::string_view what, Visit&& visit) {
  Reader outer(name);
  const Element sequence = TRY(outer.read(der::kSequence, what));
  TRY(outer.finish(what));
  Reader sets(sequence.content);
  while (!sets.at_end()) {
    const Element set = TRY(sets.read(der::kSet, what));
    if (set.content.empty()) return malformed("{}: empty relative name", what);
    Reader attributes(set.content);
    while (!attributes.at_end()) {
      Reader attribute(TRY(attributes.read(der::kSequence, what)).content);
      const Element type = TRY(attribute.read(der::kOid, what));
      const Element value = TRY(attribute.read_any(what));
      TRY(attribute.finish(what));
      visit(as_text(type.content), value);
    }
  }
  return {};
}

Result<ByteView> algorithm_oid(ByteView algorithm, std::string_view what) {
  Reader reader(algorithm);
  return TRY(reader.read(der::kOid, what)).content;
}

Result<Certificate::BasicConstraints> parse_basic_constraints(ByteView value, bool critical) {
  constexpr std::string_view kWhat = "basicConstraints";
  Reader outer(value);
  const Element sequence = TRY(outer.read(der::kSequence, kWhat));
  TRY(outer.finish(kWhat));
  Reader reader(sequence.content);
  Certificate::BasicConstraints constraints{critical, false, std::nullopt};
  if (reader.next_is(der::kBoolean)) {
    constraints.ca = TRY(der::boolean(TRY(reader.read(der::kBoolean, kWhat)), kWhat));
    // X.690, 11.5: a value equal to its default is left out.
    if (!constraints.ca) return malformed("{}: cA FALSE written out", kWhat);
  }
  if (reader.next_is(der::kInteger)) {
    constraints.path_length = TRY(der::small_unsigned(TRY(reader.read(der::kInteger, kWhat)), kWhat));
  }
  TRY(reader.finish(kWhat));
  return constraints;
}

Result<Certificate::KeyUsages> parse_key_usage(ByteView value, bool critical) {
  constexpr std::string_view kWhat = "keyUsage";
  Reader outer(value);
  const ByteView bits = TRY(outer.read(der::kBitString, kWhat)).content;
  TRY(outer.finish(kWhat));
  if (bits.size() < 2 || bits.size() > 3 || bits[0] > 7) return malformed("{}: bit string of {} bytes", kWhat, bits.size());
  // X.690, 11.2: unused bits are zero, and a list of named bits ends in a one.
  const std::uint8_t last = bits.back();
  const auto lowest_used = static_cast<std::uint8_t>(1U << bits[0]);
  if ((last & (lowest_used - 1)) != 0 || (last & lowest_used) == 0) return malformed("{}: padding of the bit string", kWhat);
  Certificate::KeyUsages usages{critical, 0};
  for (std::size_t bit = 0; bit < (bits.size() - 1) * 8; ++bit) {
    if ((bits[1 + bit / 8] & (0x80 >> bit % 8)) != 0) usages.bits = static_cast<std::uint16_t>(usages.bits | 1U << bit);
  }
  if (usages.bits > 0x1ff) return malformed("{}: more than nine bits", kWhat);
  return usages;
}

Result<ByteView> parse_subject_key_id(ByteView value) {
  Reader reader(value);
  const ByteView id = TRY(reader.read(der::kOctetString, "subjectKeyIdentifier")).content;
  TRY(reader.finish("subjectKeyIdentifier"));
  return id;
}

Result<std::optional<ByteView>> parse_authority_key_id(ByteView value) {
  constexpr std::string_view kWhat = "authorityKeyIdentifier";
  Reader outer(value);
  const Element sequence = TRY(outer.read(der::kSequence, kWhat));
  TRY(outer.finish(kWhat));
  Reader reader(sequence.content);
  std::optional<ByteView> id;
  if (reader.next_is(der::context(0))) id = TRY(reader.read(der::context(0), kWhat)).content;
  while (!reader.at_end()) TRY(reader.read_any(kWhat));
  return id;
}

Result<void> parse_extensions(ByteView list, Certificate& out) {
  constexpr std::string_view kWhat = "extensions";
  Reader outer(list);
  const Element sequence = TRY(outer.read(der::kSequence, kWhat));
  TRY(outer.finish(kWhat));
  std::vector<std::string_view> seen;
  Reader extensions(sequence.content);
  if (extensions.at_end()) return malformed("{}: empty list", kWhat);
  while (!extensions.at_end()) {
    Reader extension(TRY(extensions.read(der::kSequence, kWhat)).content);
    const std::string_view oid = as_text(TRY(extension.read(der::kOid, kWhat)).content);
    bool critical = false;
    if (extension.next_is(der::kBoolean)) {
      critical = TRY(der::boolean(TRY(extension.read(der::kBoolean, kWhat)), kWhat));
      if (!critical) return malformed("{}: critical FALSE written out", kWhat);
    }
    const ByteView value = TRY(extension.read(der::kOctetString, kWhat)).content;
    TRY(extension.finish(kWhat));
    if (std::find(seen.begin(), seen.end(), oid) != seen.end()) return malformed("{}: {} twice", kWhat, dotted_oid(as_bytes(oid)));
    if (seen.size() == kMaxExtensions) return malformed("{}: more than {}", kWhat, kMaxExtensions);
    seen.push_back(oid);
    if (oid == kBasicConstraints) {
      out.basic_constraints = TRY(parse_basic_constraints(value, critical));
    } else if (oid == kKeyUsage) {
      out.key_usage = TRY(parse_key_usage(value, critical));
    } else if (oid == kSubjectKeyId) {
      out.subject_key_id = TRY(parse_subject_key_id(value));
    } else if (oid == kAuthorityKeyId) {
      out.authority_key_id = TRY(parse_authority_key_id(value));
    } else if (critical && !out.unknown_critical) {
      out.unknown_critical = dotted_oid(as_bytes(oid));
    }
  }
  return {};
}

Result<void> parse_tbs(ByteView tbs, ByteView outer_algorithm, Versions versions, Certificate& out) {
  Reader reader(tbs);
  const bool version_1 = !reader.next_is(der::context_constructed(0));  // the default, which DER leaves out
  if (version_1) {
    if (versions == Versions::kOnly3) return unsupported("version 1, want 3");
  } else {
    Reader version(TRY(reader.read(der::context_constructed(0), "version")).content);
    const std::uint64_t number = TRY(der::small_unsigned(TRY(version.read(der::kInteger, "version")), "version"));
    TRY(version.finish("version"));
    if (number != 2) return unsupported("version {}, want 3", number == UINT64_MAX ? number : number + 1);
  }
  const Element serial = TRY(reader.read(der::kInteger, "serial"));
  if (TRY(der::unsigned_content(serial, "serial")).size() > kMaxSerialBytes) {
    return malformed("serial: {} bytes, want at most {}", serial.content.size(), kMaxSerialBytes);
  }
  out.serial = serial.content;
  // RFC 5280, 4.1.1.2: the algorithm inside what is signed must be that of the signature.
  const Element algorithm = TRY(reader.read(der::kSequence, "signature algorithm"));
  if (!equal(algorithm.whole, outer_algorithm)) return malformed("signature algorithm: differs inside and outside of what is signed");
  out.issuer = TRY(reader.read(der::kSequence, "issuer")).whole;
  TRY(for_each_attribute(out.issuer, "issuer", [](std::string_view, const Element&) {}));
  Reader validity(TRY(reader.read(der::kSequence, "validity")).content);
  out.not_before = TRY(read_time(validity, "notBefore"));
  out.not_after = TRY(read_time(validity, "notAfter"));
  TRY(validity.finish("validity"));
  out.subject = TRY(reader.read(der::kSequence, "subject")).whole;
  TRY(for_each_attribute(out.subject, "subject", [](std::string_view, const Element&) {}));
  out.public_key = TRY(reader.read(der::kSequence, "subject public key")).whole;
  if (!version_1 && reader.next_is(der::context_constructed(3))) {
    TRY(parse_extensions(TRY(reader.read(der::context_constructed(3), "extensions")).content, out));
  }
  return reader.finish("to-be-signed part");
}

const AttributeType* find_attribute_type(std::string_view oid) {
  for (const AttributeType& type : kAttributeTypes) {
    if (type.oid == oid) return &type;
  }
  return nullptr;
}

}  // namespace

Result<Bytes> fixed_signature(ByteView der_signature, std::size_t half) {
  constexpr std::string_view kWhat = "signature";
  Reader outer(der_signature);
  Reader reader(TRY(outer.read(der::kSequence, kWhat)).content);
  TRY(outer.finish(kWhat));
  Bytes out(2 * half);
  for (std::size_t i = 0; i < 2; ++i) {
    const ByteView number = TRY(der::unsigned_content(TRY(reader.read(der::kInteger, kWhat)), kWhat));
    if (number.size() > half) return malformed("signature: integer of {} bytes, want at most {}", number.size(), half);
    std::copy(number.begin(), number.end(), out.begin() + static_cast<std::ptrdiff_t>((i + 1) * half - number.size()));
  }
  TRY(reader.finish(kWhat));
  return out;
}

Result<Certificate> parse_certificate(ByteView der, Versions versions) {
  Certificate out;
  Reader outer(der);
  const Element whole = TRY(outer.read(der::kSequence, "certificate"));
  TRY(outer.finish("certificate"));
  out.der = whole.whole;
  Reader reader(whole.content);
  const Element tbs = TRY(reader.read(der::kSequence, "to-be-signed part"));
  const Element algorithm = TRY(reader.read(der::kSequence, "signature algorithm"));
  const Element signature = TRY(reader.read(der::kBitString, "signature"));
  TRY(reader.finish("certificate"));
  out.tbs = tbs.whole;
  out.signature_algorithm_oid = TRY(algorithm_oid(algorithm.content, "signature algorithm"));
  const std::string_view oid = as_text(out.signature_algorithm_oid);
  // RFC 5758, 3.2: the parameters of the ECDSA algorithms are absent.
  const bool bare = algorithm.content.size() == out.signature_algorithm_oid.size() + 2;
  if (bare && oid == kEcdsaSha256) out.signature_algorithm = SignatureAlgorithm::kEcdsaSha256;
  if (bare && oid == kEcdsaSha384) out.signature_algorithm = SignatureAlgorithm::kEcdsaSha384;
  if (bare && oid == kEcdsaSha512) out.signature_algorithm = SignatureAlgorithm::kEcdsaSha512;
  if (signature.content.empty() || signature.content[0] != 0) return malformed("signature: bit string of no whole bytes");
  out.signature = signature.content.subspan(1);
  TRY(parse_tbs(tbs.content, algorithm.whole, versions, out));
  return out;
}

Result<std::vector<NameAttribute>> parse_name(ByteView name) {
  std::vector<NameAttribute> attributes;
  TRY(for_each_attribute(name, "name", [&](std::string_view oid, const Element& value) {
    const AttributeType* type = find_attribute_type(oid);
    attributes.push_back({type != nullptr ? std::string(type->long_name) : dotted_oid(as_bytes(oid)),
                          std::string(as_text(value.content))});
  }));
  return attributes;
}

std::string name_text(ByteView name) {
  std::string text;
  const auto walked = for_each_attribute(name, "name", [&](std::string_view oid, const Element& value) {
    const AttributeType* type = find_attribute_type(oid);
    if (!text.empty()) text += ',';
    text += type != nullptr ? std::string(type->short_name) : dotted_oid(as_bytes(oid));
    text += '=';
    for (const std::uint8_t byte : value.content) {
      // Names come from strangers and end up on terminals.
      text += byte >= 0x20 && byte < 0x7f && byte != ',' ? std::string(1, static_cast<char>(byte)) : fmt::format("\\{:02x}", byte);
    }
  });
  return walked.ok() ? text : "?";
}

std::string common_name(ByteView name) {
  std::string text;
  const auto walked = for_each_attribute(name, "name", [&](std::string_view oid, const Element& value) {
    if (oid == kAttributeTypes[0].oid) text = std::string(as_text(value.content));
  });
  return walked.ok() ? text : std::string();
}

Result<void> verify_signature(const Certificate& certificate, const crypto::EcPublicKey& issuer_key) {
  crypto::Hash hash = crypto::Hash::kSha384;
  switch (certificate.signature_algorithm) {
    case SignatureAlgorithm::kEcdsaSha256: hash = crypto::Hash::kSha256; break;
    case SignatureAlgorithm::kEcdsaSha384: hash = crypto::Hash::kSha384; break;
    case SignatureAlgorithm::kEcdsaSha512: hash = crypto::Hash::kSha512; break;
    case SignatureAlgorithm::kOther:
      return unsupported("signature algorithm {}, want ECDSA with SHA-2", dotted_oid(certificate.signature_algorithm_oid));
  }
  const Bytes signature = TRY(fixed_signature(certificate.signature, crypto::field_size(issuer_key.curve())));
  if (!issuer_key.verify(crypto::digest(hash, certificate.tbs), signature)) return untrusted("signature does not verify");
  return {};
}

std::string dotted_oid(ByteView content) {
  if (content.empty() || (content.back() & 0x80) != 0) return "?";
  std::string text;
  std::uint64_t arc = 0;
  for (const std::uint8_t byte : content) {
    if (arc > (UINT64_MAX >> 8)) return "?";
    arc = arc << 7 | (byte & 0x7f);
    if ((byte & 0x80) != 0) continue;
    if (text.empty()) {
      // X.690, 8.19.4: the first two arcs share one number.
      const std::uint64_t first = std::min<std::uint64_t>(arc / 40, 2);
      text = fmt::format("{}.{}", first, arc - 40 * first);
    } else {
      text += fmt::format(".{}", arc);
    }
    arc = 0;
  }
  return text;
}

Result<std::vector<Bytes>> parse_certificates_pem(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<Bytes> out;
  for (std::size_t at = pem.find(kBegin); at != std::string_view::npos; at = pem.find(kBegin, at)) {
    at += kBegin.size();
    const std::size_t end = pem.find(kEnd, at);
    if (end == std::string_view::npos) return malformed("PEM: a CERTIFICATE block without its end");
    std::string base64;
    for (const char c : pem.substr(at, end - at)) {
      if (c != '\n' && c != '\r' && c != ' ' && c != '\t') base64.push_back(c);
    }
    out.push_back(TRY(decode_base64(base64).in("PEM")));
    at = end + kEnd.size();
  }
  if (out.empty()) return malformed("PEM: no CERTIFICATE block");
  return out;
}

std::string certificate_pem(ByteView der) {
  const std::string base64 = encode_base64(der);
  std::string out = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t at = 0; at < base64.size(); at += 64) {
    out += base64.substr(at, 64);
    out += '\n';
  }
  return out + "-----END CERTIFICATE-----\n";
}

}  // namespace casemate::x509
