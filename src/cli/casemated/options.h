// SPDX-License-Identifier: Apache-2.0
// casemated's command line, read and checked; no effects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "kms/api/quota.h"

namespace casemate::cli::casemated {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

struct Options {
  std::string home;     // empty: CASEMATE_HOME or its default
  std::string console;  // folder of the built page; empty: beside the programs
  std::string run_dir;  // empty: CASEMATE_RUN_DIR or its default
  HostPort listen{"127.0.0.1", 8443};
  HostPort imds{"127.0.0.1", 8169};
  bool serve_kms = true;
  bool serve_sts = true;
  bool serve_iam = true;
  bool serve_imds = true;
  bool serve_console = true;
  std::vector<std::string> trust{"aws"};  // names of built-in roots, `local`, or paths of PEM files
  std::string region;                     // these two: the platform's, unless given
  std::string account;
  std::string accounts;                   // path of a declaration of further accounts; empty: none
  std::uint32_t document_age_seconds = 300;
  std::uint32_t threads = 4;
  std::vector<std::string> regions;  // served beside `region`
  std::vector<kms::api::Quota> quotas;
  std::optional<HostPort> metrics;  // listener of /metrics and /healthz
  std::string passphrase_file;      // of the root key; empty: it is bare
  std::string tls_certificate;      // PEM files; empty: a certificate of the own CA
  std::string tls_key;
  std::uint32_t connections = 4096;
  std::uint32_t connections_per_peer = 0;  // 0: no limit of its own
  LogLevel log_level = LogLevel::kInfo;
};

// Exit is what to print, and the status, when the command line leaves nothing to run.
struct Exit {
  int status = 0;
  std::string out;
  std::string err;
};

std::variant<Options, Exit> parse_options(int argc, const char* const* argv);

// parse_host_port reads HOST:PORT, [V6]:PORT or PORT (on 127.0.0.1). Errors: kMalformed.
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace casemate::cli::casemated
