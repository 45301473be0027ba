// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/build_enclave.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include "base/time_text.h"
#include "cli/nitro/signing_key.h"
#include "crypto/rng.h"
#include "os/file.h"

namespace casemate::cli::nitro {
namespace {

const std::string kBuildAction = "Build Enclave";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// FixedRng makes a signature a function of key and message: the nonce is derived from both, randomness only hedges it.
class FixedRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), std::uint8_t{0}); }
};

Result<std::string> canonical_architecture(const std::string& name) {
  if (name.empty() || name == "amd64" || name == "arm64") return name;
  if (name == "x86_64") return std::string("amd64");
  if (name == "aarch64") return std::string("arm64");
  return malformed("--arch: {}, want x86_64 or aarch64", name);
}

BuildOutcome failed(ECode code, Error error, std::vector<std::string> steps) {
  steps.insert(steps.begin(), {"Failed to build enclave", "Failed to build EIF from docker"});
  return {std::nullopt, Failure{code, std::move(error), kBuildAction, std::move(steps)}};
}

Result<std::optional<std::uint64_t>> source_date(const BuildEnclaveOptions& options) {
  if (options.source_date_epoch) return options.source_date_epoch;
  const std::string text = variable("SOURCE_DATE_EPOCH");
  if (text.empty()) return std::optional<std::uint64_t>{};
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds > 253402300799) return malformed("SOURCE_DATE_EPOCH: want seconds since 1970");
  return std::optional<std::uint64_t>(seconds);
}

int run(const BuildEnclaveOptions& options) {
  fmt::print(stderr, "Start building the Enclave Image...\n");
  const BuildOutcome outcome = build_enclave(options, SystemClock());
  if (outcome.failure) return report(*outcome.failure);
  if (!outcome.report) return 1;
  for (const std::string& warning : outcome.report->warnings) fmt::print(stderr, "warning: {}\n", warning);
  if (!options.dry_run) fmt::print(stderr, "Enclave Image successfully created.\n");
  fmt::print("{}\n", print_measurements(outcome.report->measurements, options.format));
  return 0;
}

}  // namespace

// AWS's tools write UTC as an offset.
std::string rfc3339_with_offset(WallTime time) {
  std::string text = time.time_since_epoch().count() % 1000 == 0 ? format_rfc3339(time) : format_rfc3339_millis(time);
  text.pop_back();
  return text + "+00:00";
}

BuildOutcome build_enclave(const BuildEnclaveOptions& options, const Clock& clock) {
  const Result<std::string> architecture = canonical_architecture(options.architecture);
  if (!architecture) return failed(ECode::kInvalidArgument, architecture.error(), {});
  const Result<std::optional<std::uint64_t>> epoch = source_date(options);
  if (!epoch) return failed(ECode::kInvalidArgument, epoch.error(), {});

  std::optional<eif::SigningKey> signing;
  if (options.signing_certificate.empty() != options.private_key.empty()) {
    return failed(ECode::kEifBuild, malformed("--signing-certificate and --private-key: one given, want both or neither"), {});
  }
  if (!options.private_key.empty()) {
    auto key = load_signing_key(options.signing_certificate, options.private_key, clock.now());
    if (!key) return failed(ECode::kEifSigning, std::move(key).error(), {"Failed to read the signing key"});
    signing = std::move(key).take();
  }
  image::BuildOptions build;
  if (!options.metadata.empty()) {
    auto text = os::read_file(options.metadata, eif::kMaxCustomMetadataBytes);
    if (!text) return failed(ECode::kEifBuild, std::move(text).error().in("--metadata"), {});
    auto custom = eif::parse_custom_metadata(*text);
    if (!custom) return failed(ECode::kEifBuild, std::move(custom).error().in("--metadata"), {});
    build.custom_metadata = std::move(custom).take();
  }

  // Before anything that takes long: an unwritable folder should not cost a download.
  std::unique_ptr<image::OutputFile> output;
  if (!options.dry_run) {
    auto created = image::OutputFile::create(options.output_file);
    if (!created) return failed(ECode::kFileOperation, std::move(created).error(), {"Could not create output file"});
    output = std::move(created).take();
    build.output = output.get();
  }

  const auto socket = image::engine_socket_from_environment();
  if (!socket) return failed(ECode::kDockerPull, socket.error(), {});
  const image::SourceOptions source_options{*architecture, *socket, [](std::string_view line) { fmt::print(stderr, "{}\n", line); }};
  if (!options.docker_dir.empty()) {
    if (auto built = image::build_in_directory(options.docker_uri, options.docker_dir, source_options); !built) {
      return failed(ECode::kDockerBuild, std::move(built).error(), {"Failed to build docker image"});
    }
  }
  auto source = image::open_source(options.docker_uri, source_options);
  if (!source) return failed(ECode::kDockerPull, std::move(source).error(), {"Failed to pull docker image"});

  os::Path directory = options.blobs;
  if (directory.empty()) directory = variable("NITRO_CLI_BLOBS");
  if (directory.empty()) directory = image::default_blobs_directory();
  auto blobs = image::read_blobs(directory, source->image.config.architecture);
  if (!blobs) {
    std::error_code ignored;
    const bool exists = std::filesystem::is_directory(directory, ignored);
    return failed(exists ? ECode::kFileOperation : ECode::kBlobsPath, std::move(blobs).error(), {"Failed to read the blobs"});
  }

  build.image_name = options.name;
  build.image_version = options.version;
  build.build_time = rfc3339_with_offset(clock.now());
  if (*epoch) {
    build.build_time = rfc3339_with_offset(WallTime(std::chrono::seconds(**epoch)));
    build.reproducible_description = true;
  }
  if (!options.build_time.empty()) build.build_time = options.build_time;
  build.build_tool_version = CASEMATE_VERSION;
  build.honour = options.honour_oci_config ? image::HonourConfig::kOci : image::HonourConfig::kAws;
  if (signing) build.signing = &*signing;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (terminal) {
    build.progress = [](unsigned percent) { fmt::print(stderr, "\r[{:<50}] {:3} %", std::string(percent / 2, '='), percent); };
  }
  crypto::SystemRng random;
  FixedRng fixed;
  auto report = image::build(std::move(source).take(), *blobs, build, *epoch ? static_cast<Rng&>(fixed) : random);
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  if (!report) return failed(ECode::kEifBuild, std::move(report).error(), {"Failed to create EIF image"});
  return {std::move(report).take(), std::nullopt};
}

void add_build_enclave(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<BuildEnclaveOptions>();
  CLI::App* verb = app.add_subcommand("build-enclave", "Builds an enclave image and saves it to a file");
  verb->add_option("--docker-uri", options->docker_uri,
                   "Image: NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or - for an archive on standard input")->required();
  verb->add_option("--docker-dir", options->docker_dir, "Folder with a Dockerfile to build the image from");
  auto* output = verb->add_option("--output-file", options->output_file, "Where the enclave image is saved");
  verb->add_option("--signing-certificate", options->signing_certificate, "Signing certificate, PEM");
  verb->add_option("--private-key", options->private_key, "Private key of the certificate (P-256, P-384 or P-521): a PEM file or the ARN of a KMS key");
  verb->add_option("--name", options->name, "Name of the enclave image");
  verb->add_option("--version", options->version, "Version of the enclave image");
  verb->add_option("--metadata", options->metadata, "File with JSON to add to the image's metadata");
  verb->add_option("--arch", options->architecture, "x86_64 or aarch64, where the image is for several");
  verb->add_option("--blobs", options->blobs, "Folder with kernel, command line and init (NITRO_CLI_BLOBS)");
  verb->add_option("--build-time", options->build_time, "BuildTime to record, as it is");
  verb->add_option("--source-date-epoch", options->source_date_epoch, "Make the whole file reproducible, built at this time (SOURCE_DATE_EPOCH)");
  verb->add_flag("--honour-oci-config", options->honour_oci_config, "Start as container engines do: ENTRYPOINT and CMD joined, USER, WORKDIR, PATH, HOME; changes PCR0 and PCR2");
  auto* dry = verb->add_flag("--dry-run", options->dry_run, "Print the measurements, write nothing");
  verb->add_option("--output-format", options->format, "json or text")
      ->transform(CLI::CheckedTransformer(std::map<std::string, OutputFormat>{{"json", OutputFormat::kJson}, {"text", OutputFormat::kText}}));
  verb->callback([options, output, dry, &exit_code] {
    if (output->count() == 0 && dry->count() == 0) throw CLI::RequiredError("--output-file");
    exit_code = run(*options);
  });
}

}  // namespace casemate::cli::nitro
