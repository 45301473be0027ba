// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/pki.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/casemate/output.h"
#include "crypto/rng.h"
#include "json/value.h"
#include "os/paths.h"
#include "pki/store.h"
#include "x509/certificate.h"

namespace casemate::cli {
namespace {

using attestation::HierarchyNames;
using attestation::Level;

struct PkiOptions {
  std::string region;
  std::string instance_id;
  std::string out;
  bool json = false;
};

// names_of: flags first, then the platform's own, then the defaults.
Result<HierarchyNames> names_of(const PkiOptions& options, const os::Paths& paths) {
  HierarchyNames names;
  auto platform = os::load_platform(paths);
  if (platform.ok()) {
    names.region = platform->region;
    names.instance_id = platform->instance_id;
  } else if (platform.error().code() != ErrorCode::kNotFound) {
    return std::move(platform).error();
  }
  if (!options.region.empty()) names.region = options.region;
  if (!options.instance_id.empty()) names.instance_id = options.instance_id;
  return names;
}

Result<void> show(const PkiOptions& options) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const auto hierarchy = TRY(pki::load(paths.pki(), TRY(names_of(options, paths))));
  json::Array levels;
  std::string text;
  for (const Bytes& der : hierarchy.cabundle()) {
    const Level level = attestation::kLevels[levels.size()];
    const x509::Certificate certificate = TRY(x509::parse_certificate(der));
    const std::string begin = format_rfc3339(WallTime(std::chrono::seconds(certificate.not_before)));
    const std::string end = format_rfc3339(WallTime(std::chrono::seconds(certificate.not_after)));
    const crypto::Sha256 fingerprint = crypto::sha256(der);
    text += fmt::format("{:<9} {}\n          {} to {}\n          SHA-256 {}\n", to_string(level), x509::name_text(certificate.subject), begin, end, encode_hex(fingerprint));
    json::Object entry;
    entry.set("level", to_string(level));
    entry.set("subject", x509::name_text(certificate.subject));
    entry.set("not_before", begin);
    entry.set("not_after", end);
    entry.set("sha256", encode_hex(fingerprint));
    levels.emplace_back(std::move(entry));
  }
  if (options.json) return print(json::encode_pretty(levels) + "\n");
  return print(text + fmt::format("a development root under {}: verifiers trust it only as --trust local\n", paths.pki().string()));
}

Result<void> init(const PkiOptions& options) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const HierarchyNames names = TRY(names_of(options, paths));
  TRY(os::make_private_directories(paths.home));
  crypto::SystemRng rng;
  TRY(pki::init(paths.pki(), names, SystemClock().now(), rng));
  return show(options);
}

Result<void> rotate(const PkiOptions& options) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const HierarchyNames names = TRY(names_of(options, paths));
  crypto::SystemRng rng;
  TRY(pki::rotate(paths.pki(), names, SystemClock().now(), rng));
  return show(options);
}

Result<void> export_root(const PkiOptions& options) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const std::string pem = TRY(pki::root_pem(paths.pki()));
  if (options.out.empty() || options.out == "-") return print(pem);
  return os::write_file(options.out, as_bytes(pem), 0644);
}

int report(const Result<void>& result) {
  if (result.ok()) return 0;
  const auto written = os::write_all(STDERR_FILENO, as_bytes(fmt::format("casemate pki: {}\n", result.error().message())));
  return written.ok() ? 1 : 2;
}

}  // namespace

void add_pki(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<PkiOptions>();
  CLI::App* verb = app.add_subcommand("pki", "The local attestation hierarchy");
  verb->require_subcommand(1);
  const auto add_names = [&options](CLI::App* one) {
    one->add_option("--region", options->region, "Region in the names (default: the platform's)");
    one->add_option("--instance-id", options->instance_id, "Instance in the names (default: the platform's)");
    one->add_flag("--json", options->json, "As JSON");
  };
  CLI::App* init_verb = verb->add_subcommand("init", "Make the hierarchy; never replaces one");
  add_names(init_verb);
  init_verb->callback([options, &exit_code] { exit_code = report(init(*options)); });
  CLI::App* show_verb = verb->add_subcommand("show", "Print its certificates");
  add_names(show_verb);
  show_verb->callback([options, &exit_code] { exit_code = report(show(*options)); });
  CLI::App* rotate_verb = verb->add_subcommand("rotate", "Renew every level below the root");
  add_names(rotate_verb);
  rotate_verb->callback([options, &exit_code] { exit_code = report(rotate(*options)); });
  CLI::App* export_verb = verb->add_subcommand("export", "Print the root certificate, for --trust of other machines");
  export_verb->add_option("--out", options->out, "Write to this file instead");
  export_verb->callback([options, &exit_code] { exit_code = report(export_root(*options)); });
}

}  // namespace casemate::cli
