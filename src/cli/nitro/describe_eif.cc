// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/describe_eif.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/nitro/errors.h"
#include "cli/nitro/measurements.h"
#include "eif/metadata.h"
#include "image/inspect.h"
#include "x509/certificate.h"

namespace casemate::cli::nitro {
namespace {

// OpenSSL's long names of signature algorithms by OID, as AWS prints them.
std::string algorithm_name(const std::string& oid) {
  static const std::map<std::string, std::string> kNames = {
      {"1.2.840.10045.4.3.1", "ecdsa-with-SHA224"},       {"1.2.840.10045.4.3.2", "ecdsa-with-SHA256"},
      {"1.2.840.10045.4.3.3", "ecdsa-with-SHA384"},       {"1.2.840.10045.4.3.4", "ecdsa-with-SHA512"},
      {"1.2.840.113549.1.1.5", "sha1WithRSAEncryption"},  {"1.2.840.113549.1.1.11", "sha256WithRSAEncryption"},
      {"1.2.840.113549.1.1.12", "sha384WithRSAEncryption"}, {"1.2.840.113549.1.1.13", "sha512WithRSAEncryption"},
      {"1.3.101.112", "ED25519"}};
  const auto found = kNames.find(oid);
  return found == kNames.end() ? oid : found->second;
}

// OpenSSL's form: "Nov  4 22:13:20 2023 GMT".
std::string openssl_time(x509::Seconds seconds) {
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{} {:2} {:02}:{:02}:{:02} {} GMT", kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(), static_cast<int>(date.year()));
}

Result<json::Object> certificate_json(ByteView der) {
  const x509::Certificate certificate = TRY(x509::parse_certificate(der, x509::Versions::kAlso1).in("signing certificate"));
  std::vector<std::pair<std::string, std::string>> issuer;
  for (const x509::NameAttribute& attribute : TRY(x509::parse_name(certificate.issuer))) issuer.emplace_back(attribute.type, attribute.value);
  std::sort(issuer.begin(), issuer.end());
  json::Object names;
  for (const auto& [type, value] : issuer) names.set(type, value);
  std::string signature;
  for (const std::uint8_t byte : certificate.signature) signature += fmt::format("{}{:02X}", signature.empty() ? "" : ":", byte);
  json::Object out;
  out.set("IssuerName", std::move(names));
  out.set("Algorithm", algorithm_name(x509::dotted_oid(certificate.signature_algorithm_oid)));
  out.set("NotBefore", openssl_time(certificate.not_before));
  out.set("NotAfter", openssl_time(certificate.not_after));
  out.set("Signature", signature);
  return out;
}

json::Object metadata_json(const eif::Metadata& metadata) {
  json::Object out;
  out.set("BuildTime", metadata.build_time);
  out.set("BuildTool", metadata.build_tool);
  out.set("BuildToolVersion", metadata.build_tool_version);
  out.set("OperatingSystem", metadata.operating_system);
  out.set("KernelVersion", metadata.kernel_version);
  out.set("DockerInfo", metadata.docker_info);
  if (const auto* custom = metadata.custom.if_object()) {
    for (const auto& [name, value] : *custom) out.set(name, value);
  }
  return out;
}

Failure parsing_failure(Error error, const std::string& action) {
  return {ECode::kEifParsing, std::move(error), action, {"Failed to describe EIF", "Failed to initialize EIF reader"}};
}

int run_describe(const std::string& path) {
  const std::string action = "Describe EIF";
  const auto image = image::inspect_file(path);
  if (!image) return report(parsing_failure(image.error(), action));
  const auto text = description(*image);
  if (!text) return report(parsing_failure(text.error(), action));
  fmt::print("{}\n", *text);
  return 0;
}

int run_validate(const std::string& path, OutputFormat format) {
  const auto image = image::inspect_file(path);
  if (!image) return report(parsing_failure(image.error(), "Validate EIF"));
  if (format == OutputFormat::kText) {
    fmt::print("{}\n", verdict(*image));
  } else {
    json::Array violations;
    for (const std::string& violation : image->violations) violations.emplace_back(violation);
    json::Object out;
    out.set("Valid", image->violations.empty());
    out.set("Violations", std::move(violations));
    out.set("MinimumMemoryMiB", (4 * image->file_size + (1 << 20) - 1) >> 20);
    fmt::print("{}\n", json::encode_pretty(out));
  }
  return image->violations.empty() ? 0 : exit_status(ECode::kEifParsing);
}

int run_extract(const std::string& path, const std::string& directory) {
  const auto names = image::extract_file(path, directory);
  if (!names) return report({ECode::kFileOperation, names.error(), "Extract EIF", {}});
  for (const std::string& name : *names) fmt::print("{}\n", name);
  return 0;
}

}  // namespace

Result<std::string> description(const eif::Image& image) {
  json::Object out;
  out.set("EifVersion", std::uint32_t{image.header.version});
  out.set("Measurements", measurements_json(image.measurements));
  out.set("IsSigned", image.is_signed());
  std::optional<bool> signature_check;
  if (image.is_signed()) {
    if (!image.signed_by) return malformed("signature section: {}", image.signature_problem);
    out.set("SigningCertificate", TRY(certificate_json(image.signed_by->certificate)));
    signature_check = names_image(image).ok();
  }
  out.set("CheckCRC", image.crc_ok());
  if (signature_check) out.set("SignatureCheck", *signature_check);
  if (!image.metadata.empty()) {
    const eif::Metadata metadata = TRY(eif::parse_metadata(image.metadata));
    out.set("ImageName", metadata.image_name);
    out.set("ImageVersion", metadata.image_version);
    out.set("Metadata", metadata_json(metadata));
  }
  return json::encode_pretty(out);
}

std::string verdict(const eif::Image& image) {
  std::string text;
  for (const std::string& violation : image.violations) text += violation + "\n";
  if (!image.violations.empty()) return text + fmt::format("invalid: {} {} broken", image.violations.size(), image.violations.size() == 1 ? "rule" : "rules");
  return fmt::format("valid: version {}, {} sections, {} bytes; needs --memory {} or more", image.header.version, image.sections.size(),
                     image.file_size, (4 * image.file_size + (1 << 20) - 1) >> 20);
}

void add_describe_eif(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("describe-eif", "Returns information about the EIF found at a given path");
  verb->add_option("--eif-path", *path, "Path to the EIF to describe")->required();
  verb->callback([path, &exit_code] { exit_code = run_describe(*path); });
}

void add_validate_eif(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  auto format = std::make_shared<OutputFormat>(OutputFormat::kText);
  CLI::App* verb = app.add_subcommand("validate-eif", "Checks every rule of the format and says what the image needs to run");
  verb->add_option("--eif-path", *path, "Path to the EIF to check")->required();
  verb->add_option("--output-format", *format, "json or text")
      ->transform(CLI::CheckedTransformer(std::map<std::string, OutputFormat>{{"json", OutputFormat::kJson}, {"text", OutputFormat::kText}}));
  verb->callback([path, format, &exit_code] { exit_code = run_validate(*path, *format); });
}

void add_eif(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  auto directory = std::make_shared<std::string>();
  CLI::App* group = app.add_subcommand("eif", "Takes enclave images apart");
  group->require_subcommand(1);
  CLI::App* verb = group->add_subcommand("extract", "Writes each section into a file");
  verb->add_option("--eif-path", *path, "Path to the EIF")->required();
  verb->add_option("--output-dir", *directory, "Folder for the files")->required();
  verb->callback([path, directory, &exit_code] { exit_code = run_extract(*path, *directory); });
}

}  // namespace casemate::cli::nitro
