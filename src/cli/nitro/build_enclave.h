// SPDX-License-Identifier: Apache-2.0
// nitro-cli build-enclave.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cli/nitro/errors.h"
#include "cli/nitro/measurements.h"
#include "image/build.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

struct BuildEnclaveOptions {
  std::string docker_uri;
  std::string docker_dir;
  std::string output_file;
  std::string signing_certificate;
  std::string private_key;
  std::string name;
  std::string version;
  std::string metadata;
  // Beyond AWS.
  std::string architecture;                       // --arch: x86_64, aarch64, amd64 or arm64
  std::string blobs;                              // --blobs, instead of NITRO_CLI_BLOBS
  std::string build_time;                         // --build-time
  std::optional<std::uint64_t> source_date_epoch;  // --source-date-epoch or SOURCE_DATE_EPOCH
  bool honour_oci_config = false;
  bool dry_run = false;
  OutputFormat format = OutputFormat::kJson;
};

void add_build_enclave(CLI::App& app, int& exit_code);

// Outcome: a report, or the failure with its number.
struct BuildOutcome {
  std::optional<image::BuildReport> report;
  std::optional<Failure> failure;
};
// rfc3339_with_offset writes UTC as AWS's tools do: "2023-11-14T22:13:20+00:00", with milliseconds where there are any.
std::string rfc3339_with_offset(WallTime time);

BuildOutcome build_enclave(const BuildEnclaveOptions& options, const Clock& clock);

}  // namespace casemate::cli::nitro
