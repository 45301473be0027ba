// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/attest.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "attestation/document_text.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/casemate/nsm_device.h"
#include "cli/casemate/output.h"
#include "cose/sign1.h"
#include "eif/reader.h"
#include "nsm/pcr_bank.h"
#include "os/paths.h"
#include "pki/store.h"
#include "x509/certificate.h"

namespace casemate::cli {
namespace {

using attestation::Document;

// Base64 or hexadecimal of the largest document, with room for line ends.
constexpr std::size_t kInputLimit = 1024 * 1024;

int report(const Result<void>& result, int failed = 1) {
  if (result.ok()) return 0;
  const std::string line = fmt::format("casemate attest: {}\n", result.error().message());
  const auto written = os::write_all(STDERR_FILENO, as_bytes(line));
  return written.ok() ? failed : 1;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return os::read_file(path, kInputLimit);
  std::string text;
  std::array<std::uint8_t, 4096> piece;
  for (;;) {
    const std::size_t got = TRY(os::read_some(STDIN_FILENO, piece).in("standard input"));
    if (got == 0) return text;
    text.append(as_text(ByteView(piece).first(got)));
    if (text.size() > kInputLimit) return over_limit("standard input: more than {} bytes", kInputLimit);
  }
}

Result<Bytes> read_document(const std::string& path) {
  const std::string input = TRY(read_input(path));
  return attestation::decode_document_text(input).in(path == "-" ? std::string("standard input") : path);
}

Result<Document> parse_input(ByteView input) {
  const cose::Sign1 message = TRY(cose::parse_sign1(input));
  return attestation::parse_document(message.payload);
}

// read_bytes_option reads hexadecimal, or the content of the file behind an @.
Result<Bytes> read_bytes_option(std::string_view option, const std::string& value) {
  if (!value.empty() && value[0] == '@') {
    const std::string content = TRY(os::read_file(value.substr(1), kInputLimit).in(option));
    return to_bytes(as_bytes(content));
  }
  return decode_hex(value).in(option);
}

Result<std::int64_t> read_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return malformed("\"{}\": want a number", text);
  return value;
}

// read_duration reads `90`, `90s`, `5m`, `2h`, `1d`.
Result<std::chrono::milliseconds> read_duration(std::string_view text) {
  std::int64_t unit = 1;
  if (!text.empty()) {
    const char last = text.back();
    if (last == 's' || last == 'm' || last == 'h' || last == 'd') {
      unit = last == 's' ? 1 : last == 'm' ? 60 : last == 'h' ? 3600 : 86400;
      text.remove_suffix(1);
    }
  }
  const std::int64_t count = TRY(read_number(text));
  if (count > 1'000'000'000) return malformed("{}: too long", count);
  return std::chrono::seconds(count * unit);
}

// read_time reads RFC 3339, or seconds or milliseconds since the epoch.
Result<WallTime> read_time(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    const std::int64_t number = TRY(read_number(text));
    return WallTime(std::chrono::milliseconds(number >= 100'000'000'000 ? number : number * 1000));
  }
  return parse_rfc3339(text);
}

Result<void> add_pcr(std::string_view text, attestation::Policy& policy) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return malformed("--pcr {}: want N=HEX", text);
  const std::int64_t index = TRY(read_number(text.substr(0, equals)).in("--pcr"));
  if (index >= attestation::kPcrCount) return malformed("--pcr {}: index {}, want 0 to 31", text, index);
  std::string_view rest = text.substr(equals + 1);
  for (;;) {
    const std::size_t comma = rest.find(',');
    Bytes value = TRY(decode_hex(rest.substr(0, comma)).in(fmt::format("--pcr {}", index)));
    if (value.size() != nsm::kPcrBytes) return malformed("--pcr {}: {} bytes, want {}", index, value.size(), nsm::kPcrBytes);
    policy.pcrs[static_cast<attestation::PcrIndex>(index)].push_back(std::move(value));
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

Result<attestation::TrustAnchors> make_anchors(const std::vector<std::string>& names) {
  attestation::TrustAnchors anchors;
  if (names.empty()) return attestation::TrustAnchors::aws();
  for (const std::string& name : names) {
    if (name == "local") {
      const os::Paths paths = TRY(os::paths_from_environment());
      TRY(anchors.add_pem("local", TRY(pki::root_pem(paths.pki()))));
    } else if (anchors.add_builtin(name).ok()) {
      continue;
    } else {
      auto pem = os::read_file(name, kInputLimit);
      if (!pem.ok()) return std::move(pem).error().in("--trust: not aws, aws-us-gov or local, and as a PEM file");
      TRY(anchors.add_pem(name, *pem).in("--trust"));
    }
  }
  return anchors;
}

Result<void> show(const std::string& path, bool as_json) {
  const Bytes input = TRY(read_document(path));
  const Document document = TRY(parse_input(input));
  return print(as_json ? document_json(document) : document_text(document) + "nothing was verified: that is what casemate attest verify does\n");
}

Result<void> chain(const std::string& path) {
  const Bytes input = TRY(read_document(path));
  const Document document = TRY(parse_input(input));
  std::string out = x509::certificate_pem(document.certificate);
  for (auto it = document.cabundle.rbegin(); it != document.cabundle.rend(); ++it) out += x509::certificate_pem(*it);
  return print(out);
}

Result<bool> verify(const std::string& path, const std::vector<std::string>& trust, const PolicyOptions& options, bool as_json) {
  const attestation::Policy policy = TRY(make_policy(options, SystemClock().now()));
  const attestation::TrustAnchors anchors = TRY(make_anchors(trust));
  const Bytes input = TRY(read_document(path));
  const attestation::Report result = attestation::examine(input, anchors, policy);
  TRY(print(as_json ? report_json(result) : report_text(result)));
  return result.verified.has_value();
}

struct GetOptions {
  std::string user_data;
  std::string nonce;
  std::string public_key;
  std::string format = "raw";
};

Result<void> get(const GetOptions& options) {
  nsm::AttestationRequest request;
  if (!options.user_data.empty()) request.user_data = TRY(read_bytes_option("--user-data", options.user_data));
  if (!options.nonce.empty()) request.nonce = TRY(read_bytes_option("--nonce", options.nonce));
  if (!options.public_key.empty()) request.public_key = TRY(read_bytes_option("--public-key", options.public_key));
  const nsm::Response response = TRY(ask_nsm(request));
  if (const auto* error = std::get_if<nsm::ErrorResponse>(&response)) return denied("/dev/nsm: {}", nsm::to_string(error->code));
  const auto* answer = std::get_if<nsm::AttestationResponse>(&response);
  if (answer == nullptr) return malformed("/dev/nsm: an answer to another request");
  if (options.format == "hex") return print(encode_hex(answer->document) + "\n");
  if (options.format == "base64") return print(encode_base64(answer->document) + "\n");
  return os::write_all(STDOUT_FILENO, answer->document);
}

Result<bool> pcrs(const std::string& eif_path, const std::string& document_path) {
  const UniqueFd file = TRY(os::open(eif_path, O_RDONLY));
  os::FdSource source(file.get(), 0, UINT64_MAX);
  const eif::Image image = TRY(eif::inspect(source).in(eif_path));
  const Bytes input = TRY(read_document(document_path));
  const Document document = TRY(parse_input(input));
  const PcrComparison comparison = compare_pcrs(image.measurements, document);
  TRY(print(comparison_text(comparison)));
  return comparison.same();
}

// status turns a verdict into the exit code: 0 yes, 1 no or failed.
int status(const Result<bool>& result) {
  if (result.ok()) return *result ? 0 : 1;
  return report(Result<void>(Error(result.error())));
}

}  // namespace

PcrComparison compare_pcrs(const eif::Measurements& image, const Document& document) {
  const crypto::Sha384 unsigned_image{};
  PcrComparison out;
  out.debug = document.is_debug();
  const auto add = [&](attestation::PcrIndex index, std::string_view part, const crypto::Sha384& wanted) {
    const Bytes* found = document.find_pcr(index);
    out.rows.push_back({index, std::string(part), to_bytes(wanted), found != nullptr ? std::optional<Bytes>(*found) : std::nullopt});
    return out.rows.back().same();
  };
  const bool all = add(0, "the whole image", image.pcr0);
  const bool boot = add(1, "kernel, command line and boot ramdisk", image.pcr1);
  const bool application = add(2, "application", image.pcr2);
  const bool signer = add(8, "signing certificate", image.pcr8 ? *image.pcr8 : unsigned_image);
  if (!boot) out.differing.emplace_back("kernel, command line or boot ramdisk");
  if (!application) out.differing.emplace_back("application");
  if (!signer) out.differing.emplace_back(image.pcr8 ? "signing certificate" : "signing certificate (the image is not signed)");
  // PCR1 and PCR2 together cover every byte of PCR0, but not their order.
  if (!all && boot && application) out.differing.emplace_back("order of the image's parts");
  return out;
}

Result<attestation::Policy> make_policy(const PolicyOptions& options, WallTime now) {
  attestation::Policy policy;
  if (!options.at_document_time) policy.at = options.at.empty() ? now : TRY(read_time(options.at).in("--at"));
  if (!options.max_age.empty()) {
    if (options.at_document_time) return malformed("--max-age: has no meaning with --at-document-time");
    policy.max_age = TRY(read_duration(options.max_age).in("--max-age"));
  }
  policy.allow_debug = options.allow_debug ? attestation::AllowDebug::kYes : attestation::AllowDebug::kNo;
  if (!options.nonce.empty()) policy.nonce = TRY(read_bytes_option("--nonce", options.nonce));
  if (!options.user_data.empty()) policy.user_data = TRY(read_bytes_option("--user-data", options.user_data));
  if (!options.public_key.empty()) policy.public_key = TRY(read_bytes_option("--public-key", options.public_key));
  for (const std::string& pcr : options.pcrs) TRY(add_pcr(pcr, policy));
  return policy;
}

void add_attest(CLI::App& app, int& exit_code) {
  struct Options {
    std::string file;
    bool json = false;
    std::vector<std::string> trust;
    PolicyOptions policy;
    GetOptions get;
    std::string eif;
    std::string document;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* attest = app.add_subcommand("attest", "Read, verify and ask for attestation documents");
  attest->require_subcommand(1);

  const auto add_file = [&options](CLI::App* verb) {
    verb->add_option("file", options->file, "The document: binary, hexadecimal or base64; - for standard input")->required();
  };
  CLI::App* show_verb = attest->add_subcommand("show", "Print a document without verifying it");
  add_file(show_verb);
  show_verb->add_flag("--json", options->json, "As JSON");
  show_verb->callback([options, &exit_code] { exit_code = report(show(options->file, options->json)); });

  CLI::App* verify_verb = attest->add_subcommand("verify", "Verify a document; one line a check, exit status 0 if all pass");
  add_file(verify_verb);
  verify_verb->add_option("--trust", options->trust, "aws (default), aws-us-gov, local or a PEM file; repeatable")->allow_extra_args(false);
  verify_verb->add_flag("--at-document-time", options->policy.at_document_time, "Judge the chain at the document's own time")
      ->excludes(verify_verb->add_option("--at", options->policy.at, "Judge at this time (RFC 3339 or Unix time) instead of now"));
  verify_verb->add_option("--max-age", options->policy.max_age, "Refuse documents older than this: 90s, 5m, 2h");
  verify_verb->add_option("--nonce", options->policy.nonce, "Wanted nonce, HEX or @FILE");
  verify_verb->add_option("--user-data", options->policy.user_data, "Wanted user_data, HEX or @FILE");
  verify_verb->add_option("--public-key", options->policy.public_key, "Wanted public_key, HEX or @FILE");
  verify_verb->add_option("--pcr", options->policy.pcrs, "N=HEX[,HEX...]: allowed values of a PCR; repeatable")->allow_extra_args(false);
  verify_verb->add_flag("--allow-debug", options->policy.allow_debug, "Accept an enclave in debug mode");
  verify_verb->add_flag("--json", options->json, "As JSON");
  verify_verb->callback([options, &exit_code] { exit_code = status(verify(options->file, options->trust, options->policy, options->json)); });

  CLI::App* get_verb = attest->add_subcommand("get", "Inside an enclave: ask the NSM for a document");
  get_verb->add_option("--user-data", options->get.user_data, "HEX or @FILE");
  get_verb->add_option("--nonce", options->get.nonce, "HEX or @FILE");
  get_verb->add_option("--public-key", options->get.public_key, "HEX or @FILE");
  get_verb->add_option("--format", options->get.format, "raw (default), hex or base64")->check(CLI::IsMember({"raw", "hex", "base64"}));
  get_verb->callback([options, &exit_code] { exit_code = report(get(options->get)); });

  CLI::App* chain_verb = attest->add_subcommand("chain", "Print a document's certificates as PEM, leaf first");
  add_file(chain_verb);
  chain_verb->callback([options, &exit_code] { exit_code = report(chain(options->file)); });

  CLI::App* pcrs_verb = attest->add_subcommand("pcrs", "Compare an image with a document");
  pcrs_verb->add_option("--eif", options->eif, "The enclave image")->required();
  pcrs_verb->add_option("--document", options->document, "The document, as above")->required();
  pcrs_verb->callback([options, &exit_code] { exit_code = status(pcrs(options->eif, options->document)); });
}

}  // namespace casemate::cli
