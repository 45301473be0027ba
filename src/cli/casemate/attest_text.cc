// SPDX-License-Identifier: Apache-2.0
// The printed forms of documents and reports: pure functions of what they print.
#include "attestation/report_json.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/casemate/attest.h"
#include "json/value.h"
#include "x509/certificate.h"

namespace casemate::cli {
namespace {

using attestation::Check;
using attestation::Document;

std::string certificate_line(ByteView der) {
  const auto certificate = x509::parse_certificate(der);
  if (!certificate.ok()) return fmt::format("{} bytes, unreadable: {}", der.size(), certificate.error().message());
  return fmt::format("{} ({} to {})", x509::common_name(certificate->subject), format_rfc3339(WallTime(std::chrono::seconds(certificate->not_before))),
                     format_rfc3339(WallTime(std::chrono::seconds(certificate->not_after))));
}

std::string optional_line(const std::optional<Bytes>& value) {
  if (!value) return "absent";
  if (value->empty()) return "empty";
  return fmt::format("{} bytes: {}", value->size(), encode_hex(*value));
}

// printable keeps what strangers wrote from reaching the terminal as control characters.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) >= 0x20 && c != 0x7f ? c : '?';
  return out;
}

std::string_view verdict_text(Check::Verdict verdict) {
  switch (verdict) {
    case Check::Verdict::kPass: return "pass";
    case Check::Verdict::kFail: return "FAIL";
    case Check::Verdict::kSkipped: return "skip";
  }
  CASEMATE_CHECK(false);
}

}  // namespace

std::string document_text(const Document& document) {
  std::string out;
  const auto line = [&out](std::string_view name, std::string_view value) { out += fmt::format("{:<13} {}\n", name, printable(value)); };
  line("module_id", document.module_id);
  line("digest", "SHA384");
  line("timestamp", fmt::format("{} ({} ms)", format_rfc3339_millis(document.timestamp), document.timestamp.time_since_epoch().count()));
  line("debug mode", document.is_debug() ? "yes (PCR0, PCR1 and PCR2 are zero)" : "no");
  std::string zero;
  for (const attestation::Pcr& pcr : document.pcrs) {
    if (all_zero(pcr.value)) {
      zero += fmt::format("{}{}", zero.empty() ? "" : ", ", pcr.index);
    } else {
      line(fmt::format("PCR{}", pcr.index), encode_hex(pcr.value));
    }
  }
  if (!zero.empty()) line("zero PCRs", zero);
  line("certificate", certificate_line(document.certificate));
  for (std::size_t i = 0; i < document.cabundle.size(); ++i) line(fmt::format("cabundle[{}]", i), certificate_line(document.cabundle[i]));
  const crypto::Sha256 root = crypto::sha256(document.cabundle.front());
  line("root SHA-256", encode_hex(root));
  line("public_key", optional_line(document.public_key));
  line("user_data", optional_line(document.user_data));
  line("nonce", optional_line(document.nonce));
  return out;
}

std::string document_json(const Document& document) {
  return json::encode_pretty(attestation::to_json(document)) + "\n";
}

std::string report_text(const attestation::Report& report) {
  std::string out;
  std::size_t failed = 0;
  for (const Check& check : report.checks) {
    if (check.verdict != Check::Verdict::kPass) ++failed;
    out += fmt::format("{}  {}: {}", verdict_text(check.verdict), check.name, printable(check.found));
    if (!check.wanted.empty()) out += fmt::format(" (want {})", printable(check.wanted));
    out += '\n';
  }
  if (report.verified) {
    out += fmt::format("verified: {} checks passed, trusted through {}\n", report.checks.size(), report.verified->anchor());
  } else {
    out += fmt::format("NOT verified: {} of {} checks did not pass\n", failed, report.checks.size());
  }
  return out;
}

std::string report_json(const attestation::Report& report) {
  return json::encode_pretty(attestation::to_json(report)) + "\n";
}

std::string comparison_text(const PcrComparison& comparison) {
  std::string out;
  for (const PcrComparison::Row& row : comparison.rows) {
    out += fmt::format("{}  PCR{} ({})\n", row.same() ? "same  " : "DIFFER", row.index, row.part);
    if (row.same()) continue;
    out += fmt::format("        image    {}\n        document {}\n", encode_hex(row.image), row.document ? encode_hex(*row.document) : std::string("absent"));
  }
  if (comparison.same()) return out + "the document is of this image (its signature was not verified here)\n";
  if (comparison.debug) return out + "cannot tell: the document is of an enclave in debug mode, where PCR0, PCR1 and PCR2 are zero\n";
  out += "the document is not of this image; what differs: ";
  for (std::size_t i = 0; i < comparison.differing.size(); ++i) out += (i == 0 ? "" : ", ") + comparison.differing[i];
  return out + "\n";
}

}  // namespace casemate::cli
