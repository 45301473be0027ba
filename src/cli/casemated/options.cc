// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <sstream>

#include "iam/arn.h"

namespace casemate::cli::casemated {

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort out{"127.0.0.1", 0};
  std::string_view port = text;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty()) return malformed("{}: want HOST:PORT", text);
    out.host = host;
    port = text.substr(colon + 1);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc{} || end != port.data() + port.size())
    return malformed("{}: want HOST:PORT, a port of at most 65535", text);
  return out;
}

namespace {

Result<void> apply_services(const std::vector<std::string>& services, Options& options) {
  options.serve_kms = options.serve_sts = options.serve_iam = options.serve_imds = options.serve_console = false;
  for (const std::string& service : services) {
    if (service == "kms") {
      options.serve_kms = true;
    } else if (service == "sts") {
      options.serve_sts = true;
    } else if (service == "iam") {
      options.serve_iam = true;
    } else if (service == "imds") {
      options.serve_imds = true;
    } else if (service == "console") {
      options.serve_console = true;
    } else {
      return malformed("{}: no such service, want kms, sts, iam, imds or console", service);
    }
  }
  if (!options.serve_kms && !options.serve_sts && !options.serve_iam && !options.serve_imds &&
      !options.serve_console)
    return malformed("no service to serve");
  return {};
}

bool is_region(std::string_view text) {
  return !text.empty() && text.size() <= 32 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
  Options options;
  std::string listen = "127.0.0.1:8443";
  std::string imds = "127.0.0.1:8169";
  std::vector<std::string> services{"kms", "sts", "iam", "imds", "console"};
  std::string level = "info";
  CLI::App app("KMS, STS, IAM and IMDS of a local AWS account, for enclaves that attest themselves", "casemated");
  app.set_version_flag("--version", "casemated " CASEMATE_VERSION);
  app.add_option("--home", options.home, "Folder of keys and state (CASEMATE_HOME)");
  app.add_option("--run-dir", options.run_dir, "Folder of run files (CASEMATE_RUN_DIR)");
  app.add_option("--listen", listen, "Address and port of KMS, STS and IAM (HTTPS); port 0 takes any free one")
      ->capture_default_str();
  app.add_option("--imds", imds, "Address and port of the instance metadata service (HTTP)")->capture_default_str();
  app.add_option("--console", options.console, "Folder of the built web console (beside the programs)");
  app.add_option("--services", services, "Which of kms, sts, iam, imds and console to serve")->delimiter(',')->capture_default_str();
  app.add_option("--trust", options.trust, "Roots of attestation documents: aws, aws-us-gov, local, or PEM files")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--region", options.region, "Region to stand for (the platform's, else us-east-1)");
  app.add_option("--account", options.account, "Account to stand for (the platform's, else 111122223333)");
  app.add_option("--accounts", options.accounts, "File that declares further accounts, their users and roles (JSON)");
  app.add_option("--document-age", options.document_age_seconds,
                 "Seconds after which an attestation document is too old")
      ->check(CLI::Range(1U, 86400U))
      ->capture_default_str();
  std::vector<std::string> quotas;
  std::string metrics;
  app.set_config("--config", "", "File of options, one NAME = VALUE a line, as on the command line without dashes");
  app.add_option("--regions", options.regions, "Further regions to serve, for multi-Region keys")->delimiter(',');
  app.add_option("--quota", quotas, "Calls a second of one account: OPERATION=N, Cryptographic=N or *=N")
      ->delimiter(',');
  app.add_option("--metrics", metrics, "Address and port of /metrics and /healthz (HTTP); none by default");
  app.add_option("--root-key-passphrase-file", options.passphrase_file,
                 "File whose first line is the passphrase of root.key");
  app.add_option("--tls-certificate", options.tls_certificate, "PEM certificate chain; by default one of the own CA");
  app.add_option("--tls-key", options.tls_key, "PEM private key of that certificate");
  app.add_option("--connections", options.connections, "Most connections at once")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--connections-per-peer", options.connections_per_peer, "Most connections of one address, 0 for all")
      ->check(CLI::Range(0U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads that serve requests")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  app.add_option("--log-level", level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const int status = app.exit(error, out, err);
    return Exit{status == 0 ? 0 : 2, out.str(), status == 0 ? "" : fmt::format("casemated: {}\n", error.what())};
  }
  options.log_level = level == "debug"   ? LogLevel::kDebug
                      : level == "warn"  ? LogLevel::kWarn
                      : level == "error" ? LogLevel::kError
                                         : LogLevel::kInfo;
  const auto refuse = [](const Error& error) { return Exit{2, "", fmt::format("casemated: {}\n", error.message())}; };
  const auto kms_address = parse_host_port(listen);
  if (!kms_address.ok()) return refuse(Error(kms_address.error()).in("--listen"));
  options.listen = *kms_address;
  const auto imds_address = parse_host_port(imds);
  if (!imds_address.ok()) return refuse(Error(imds_address.error()).in("--imds"));
  options.imds = *imds_address;
  if (!metrics.empty()) {
    const auto address = parse_host_port(metrics);
    if (!address.ok()) return refuse(Error(address.error()).in("--metrics"));
    options.metrics = *address;
  }
  for (const std::string& text : quotas) {
    const auto quota = kms::api::parse_quota(text);
    if (!quota.ok()) return refuse(Error(quota.error()).in("--quota"));
    options.quotas.push_back(*quota);
  }
  for (const std::string& region : options.regions) {
    if (!is_region(region)) return refuse(malformed("--regions: {}: no name of a region", region));
  }
  if (options.tls_certificate.empty() != options.tls_key.empty())
    return refuse(malformed("--tls-certificate and --tls-key go together"));
  if (const auto applied = apply_services(services, options); !applied.ok())
    return refuse(Error(applied.error()).in("--services"));
  if (!options.account.empty() && !iam::is_account_id(options.account))
    return refuse(malformed("--account: {}: want 12 digits", options.account));
  if (!options.region.empty() && !is_region(options.region))
    return refuse(malformed("--region: {}: no name of a region", options.region));
  return options;
}

}  // namespace casemate::cli::casemated
