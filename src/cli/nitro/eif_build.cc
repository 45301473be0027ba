// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/eif_build.h"

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/nitro/build_enclave.h"
#include "cli/nitro/measurements.h"
#include "cli/nitro/signing_key.h"
#include "crypto/rng.h"
#include "eif/format.h"
#include "image/assemble.h"

namespace casemate::cli::nitro {
namespace {

constexpr int kBadUsage = 2;

struct Options {
  image::Parts parts;
  std::string kernel;
  std::vector<std::string> ramdisks;
  std::string output;
  std::string kernel_config;
  std::string metadata;
  std::string signing_certificate;
  std::string private_key;
  // What --kernel_config says is overridden by what is named.
  std::string build_time;
  std::string build_tool;
  std::string build_tool_version;
  std::string operating_system;
  std::string kernel_version;
};

void set_unless_empty(std::string& out, const std::string& value) {
  if (!value.empty()) out = value;
}

Result<image::Sealed> act(Options options, const Clock& clock) {
  image::Parts& parts = options.parts;
  eif::Metadata& about = parts.metadata;
  parts.kernel = options.kernel;
  parts.ramdisks.assign(options.ramdisks.begin(), options.ramdisks.end());
  if (about.image_name.empty()) about.image_name = parts.kernel.filename().native();
  if (about.image_version.empty()) about.image_version = "1.0";
  about.build_time = rfc3339_with_offset(clock.now());
  about.build_tool = "eif_build";
  about.build_tool_version = CASEMATE_VERSION;
  about.operating_system = "Generic Linux";
  about.kernel_version = "Unknown version";
  if (!options.kernel_config.empty()) {
    const eif::KernelName name = TRY(image::read_kernel_name(options.kernel_config));
    about.operating_system = name.operating_system;
    about.kernel_version = name.version;
  }
  set_unless_empty(about.build_time, options.build_time);
  set_unless_empty(about.build_tool, options.build_tool);
  set_unless_empty(about.build_tool_version, options.build_tool_version);
  set_unless_empty(about.operating_system, options.operating_system);
  set_unless_empty(about.kernel_version, options.kernel_version);
  if (!options.metadata.empty()) {
    about.custom = TRY(eif::parse_custom_metadata(TRY(os::read_file(options.metadata, eif::kMaxCustomMetadataBytes))).in("--metadata"));
  }
  std::optional<eif::SigningKey> signing;
  if (!options.private_key.empty()) signing = TRY(load_signing_key(options.signing_certificate, options.private_key, clock.now()));
  const auto output = TRY(image::OutputFile::create(options.output));
  crypto::SystemRng rng;
  return image::assemble(parts, *output, signing ? &*signing : nullptr, rng);
}

}  // namespace

int eif_build(int argc, char** argv) {
  CLI::App app{"Builds an enclave image from a kernel, a command line and ramdisks", "eif_build"};
  Options options;
  app.set_version_flag("-V", "eif_build " CASEMATE_VERSION " (casemate)");
  app.add_option("--kernel", options.kernel, "Path to a bzImage (x86_64) or Image (aarch64)")->required();
  app.add_option("--kernel_config,--kernel-config", options.kernel_config, "Its configuration file, which names OS and kernel");
  app.add_option("--cmdline", options.parts.command_line, "Kernel command line")->required();
  app.add_option("--ramdisk", options.ramdisks, "Path to a cpio archive; the first is the boot ramdisk")->required()->allow_extra_args(false);
  app.add_option("--output", options.output, "Where the enclave image is saved")->required();
  app.add_option("--arch", options.parts.flags, "x86_64 or aarch64")
      ->transform(CLI::CheckedTransformer(std::map<std::string, std::uint16_t>{{"x86_64", 0}, {"aarch64", eif::kFlagArm64}}));
  auto* certificate = app.add_option("--signing-certificate", options.signing_certificate, "Signing certificate, PEM");
  auto* key = app.add_option("--private-key", options.private_key, "Private key of the certificate: a PEM file or the ARN of a KMS key");
  certificate->needs(key);
  key->needs(certificate);
  app.add_option("--name,--image-name", options.parts.metadata.image_name, "Name of the enclave image (default: the kernel's file name)");
  app.add_option("--version,--image-version", options.parts.metadata.image_version, "Version of the enclave image (default: 1.0)");
  app.add_option("--metadata", options.metadata, "File with JSON to add to the image's metadata");
  app.add_option("--build-time", options.build_time, "BuildTime to record, as it is");
  app.add_option("--build-tool", options.build_tool, "BuildTool to record");
  app.add_option("--build-tool-version", options.build_tool_version, "BuildToolVersion to record");
  app.add_option("--img-os,--image-os", options.operating_system, "OperatingSystem to record");
  app.add_option("--img-kernel,--image-kernel", options.kernel_version, "KernelVersion to record");
  std::string algorithm;
  app.add_option("--algo", algorithm, "sha384, the only one that an enclave has")->check(CLI::IsMember({"sha384"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "error: {} (eif_build --help lists the flags)\n", error.what());
    return kBadUsage;
  }
  const std::string output = options.output;
  const auto sealed = act(std::move(options), SystemClock());
  if (!sealed) {
    fmt::print(stderr, "eif_build: {}\n", sealed.error().message());
    return 1;
  }
  fmt::print("Output file: {}\n{}\n", output, json::encode_pretty(measurements_json(sealed->measurements)));
  return 0;
}

}  // namespace casemate::cli::nitro
