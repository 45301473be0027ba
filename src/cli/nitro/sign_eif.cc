// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/sign_eif.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/nitro/errors.h"
#include "cli/nitro/measurements.h"
#include "cli/nitro/signing_key.h"
#include "crypto/rng.h"
#include "image/inspect.h"

namespace casemate::cli::nitro {
namespace {

struct SignEifOptions {
  std::string eif_path;
  std::string signing_certificate;
  std::string private_key;
};

int run(const SignEifOptions& options) {
  const std::string action = "Sign EIF";
  const auto key = load_signing_key(options.signing_certificate, options.private_key, SystemClock().now());
  if (!key) return report({ECode::kEifSigning, key.error(), action, {"Failed to read the signing key"}});
  crypto::SystemRng rng;
  const auto measurements = image::sign_file(options.eif_path, *key, rng);
  if (!measurements) {
    const bool unreadable = measurements.error().code() == ErrorCode::kMalformed || measurements.error().code() == ErrorCode::kNotFound;
    return report({unreadable ? ECode::kEifParsing : ECode::kEifSigning, measurements.error(), action, {"Failed to sign EIF"}});
  }
  fmt::print(stderr, "Enclave Image successfully signed.\n");
  fmt::print("{}\n", print_measurements(*measurements, OutputFormat::kJson));
  return 0;
}

}  // namespace

void add_sign_eif(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<SignEifOptions>();
  CLI::App* verb = app.add_subcommand("sign-eif", "Signs an enclave image, or replaces its signature");
  verb->add_option("--eif-path", options->eif_path, "Path to the EIF")->required();
  verb->add_option("--signing-certificate", options->signing_certificate, "Signing certificate, PEM")->required();
  verb->add_option("--private-key", options->private_key, "Private key of the certificate: a PEM file or the ARN of a KMS key")->required();
  verb->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace casemate::cli::nitro
