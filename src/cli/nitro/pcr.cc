// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/pcr.h"

#include <fcntl.h>

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "cli/nitro/errors.h"
#include "crypto/digest.h"
#include "eif/signature.h"
#include "image/inspect.h"
#include "json/value.h"
#include "os/file.h"

namespace casemate::cli::nitro {
namespace {

const std::string kPcrAction = "File PCR";
constexpr std::size_t kMaxCertificatePem = 64 * 1024;
constexpr std::size_t kReadBytes = 1024 * 1024;

void print_register(std::string_view name, const eif::Sha384& value) {
  json::Object out;
  out.set(name, encode_hex(value));
  fmt::print("{}\n", json::encode_pretty(out));
}

Result<eif::Sha384> measure_file(const std::string& path) {
  const UniqueFd fd = TRY(os::open(path, O_RDONLY));
  crypto::Hasher hasher(crypto::Hash::kSha384);
  Bytes buffer(kReadBytes);
  for (;;) {
    const std::size_t got = TRY(os::read_some(fd.get(), buffer).in(path));
    if (got == 0) break;
    hasher.update(ByteView(buffer).first(got));
  }
  return eif::extend({}, hasher.finish());
}

int run(const std::string& input, const std::string& certificate) {
  if (!input.empty()) {
    const auto value = measure_file(input);
    if (!value) return report({ECode::kFileOperation, value.error(), kPcrAction, {"Failed to open file"}});
    print_register("PCR", *value);
    return 0;
  }
  const auto pem = os::read_file(certificate, kMaxCertificatePem);
  if (!pem) return report({ECode::kFileOperation, pem.error(), kPcrAction, {"Failed to open file"}});
  const auto der = eif::certificate_of(*pem);
  if (!der) return report({ECode::kHasher, der.error(), kPcrAction, {"Failed to deserialize .pem"}});
  print_register("PCR8", eif::measure(*der));
  return 0;
}

int run_diff(const std::string& a, const std::string& b) {
  const auto comparison = image::compare_files(a, b);
  if (!comparison) return report({ECode::kEifParsing, comparison.error(), "Compare PCRs", {}});
  const eif::Measurements& left = comparison->a.measurements;
  const eif::Measurements& right = comparison->b.measurements;
  const auto line = [](std::string_view name, const eif::Sha384& x, const eif::Sha384& y) {
    if (x == y) {
      fmt::print("{} equal      {}\n", name, encode_hex(x));
    } else {
      fmt::print("{} different  {}\n                {}\n", name, encode_hex(x), encode_hex(y));
    }
  };
  line("PCR0", left.pcr0, right.pcr0);
  line("PCR1", left.pcr1, right.pcr1);
  line("PCR2", left.pcr2, right.pcr2);
  if (left.pcr8 || right.pcr8) line("PCR8", left.pcr8.value_or(eif::Sha384{}), right.pcr8.value_or(eif::Sha384{}));
  for (const std::string& difference : comparison->differences) fmt::print("{}\n", difference);
  return left == right ? 0 : 1;
}

}  // namespace

void add_pcr(CLI::App& app, int& exit_code) {
  auto input = std::make_shared<std::string>();
  auto certificate = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("pcr", "Returns the PCR value of the given input");
  auto* group = verb->add_option_group("input");
  group->add_option("--input", *input, "Any file: what it would be as a PCR");
  group->add_option("--signing-certificate", *certificate, "Signing certificate, PEM: its PCR8");
  group->require_option(1);
  verb->callback([input, certificate, &exit_code] { exit_code = run(*input, *certificate); });
}

void add_pcr_diff(CLI::App& app, int& exit_code) {
  auto a = std::make_shared<std::string>();
  auto b = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("pcr-diff", "Says which parts of two enclave images make their PCRs differ; exits with 1 if any does");
  verb->add_option("first", *a, "Path to an EIF")->required();
  verb->add_option("second", *b, "Path to another")->required();
  verb->callback([a, b, &exit_code] { exit_code = run_diff(*a, *b); });
}

}  // namespace casemate::cli::nitro
