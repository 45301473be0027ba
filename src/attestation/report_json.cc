// SPDX-License-Identifier: Apache-2.0
#include "attestation/report_json.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "x509/certificate.h"

namespace casemate::attestation {
namespace {

json::Value optional_json(const std::optional<Bytes>& value) {
  return value ? json::Value(encode_hex(*value)) : json::Value();
}

json::Value certificate_json(ByteView der) {
  json::Object out;
  const crypto::Sha256 fingerprint = crypto::sha256(der);
  out.set("sha256", encode_hex(fingerprint));
  if (const auto certificate = x509::parse_certificate(der); certificate.ok()) {
    out.set("subject", x509::name_text(certificate->subject));
    out.set("issuer", x509::name_text(certificate->issuer));
    out.set("serial", encode_hex(certificate->serial));
    out.set("not_before", format_rfc3339(WallTime(std::chrono::seconds(certificate->not_before))));
    out.set("not_after", format_rfc3339(WallTime(std::chrono::seconds(certificate->not_after))));
  }
  out.set("der", encode_base64(der));
  return out;
}

std::string_view verdict_name(Check::Verdict verdict) {
  switch (verdict) {
    case Check::Verdict::kPass: return "pass";
    case Check::Verdict::kFail: return "fail";
    case Check::Verdict::kSkipped: return "skip";
  }
  CASEMATE_CHECK(false);
}

}  // namespace

json::Value to_json(const Document& document) {
  json::Object pcrs;
  for (const Pcr& pcr : document.pcrs) pcrs.set(std::to_string(pcr.index), encode_hex(pcr.value));
  json::Array cabundle;
  for (const Bytes& der : document.cabundle) cabundle.push_back(certificate_json(der));
  json::Object out;
  out.set("module_id", document.module_id);
  out.set("digest", "SHA384");
  out.set("timestamp", std::int64_t{document.timestamp.time_since_epoch().count()});
  out.set("time", format_rfc3339_millis(document.timestamp));
  out.set("debug", document.is_debug());
  out.set("pcrs", std::move(pcrs));
  out.set("certificate", certificate_json(document.certificate));
  out.set("cabundle", std::move(cabundle));
  out.set("public_key", optional_json(document.public_key));
  out.set("user_data", optional_json(document.user_data));
  out.set("nonce", optional_json(document.nonce));
  return out;
}

json::Value to_json(const Report& report) {
  json::Array checks;
  for (const Check& check : report.checks) {
    json::Object entry;
    entry.set("check", check.name);
    entry.set("verdict", verdict_name(check.verdict));
    entry.set("found", check.found);
    entry.set("wanted", check.wanted);
    checks.emplace_back(std::move(entry));
  }
  json::Object out;
  out.set("verified", report.verified.has_value());
  out.set("anchor", report.verified ? json::Value(report.verified->anchor()) : json::Value());
  out.set("checks", std::move(checks));
  return out;
}

}  // namespace casemate::attestation
