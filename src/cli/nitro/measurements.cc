// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/measurements.h"

#include "base/encoding.h"

namespace casemate::cli::nitro {

json::Object measurements_json(const eif::Measurements& measurements) {
  json::Object out;
  out.set("HashAlgorithm", "Sha384 { ... }");
  out.set("PCR0", encode_hex(measurements.pcr0));
  out.set("PCR1", encode_hex(measurements.pcr1));
  out.set("PCR2", encode_hex(measurements.pcr2));
  if (measurements.pcr8) out.set("PCR8", encode_hex(*measurements.pcr8));
  return out;
}

std::string print_measurements(const eif::Measurements& measurements, OutputFormat format) {
  if (format == OutputFormat::kJson) {
    json::Object out;
    out.set("Measurements", measurements_json(measurements));
    return json::encode_pretty(out);
  }
  std::string text = fmt::format("PCR0 {}\nPCR1 {}\nPCR2 {}", encode_hex(measurements.pcr0), encode_hex(measurements.pcr1), encode_hex(measurements.pcr2));
  if (measurements.pcr8) text += fmt::format("\nPCR8 {}", encode_hex(*measurements.pcr8));
  return text;
}

}  // namespace casemate::cli::nitro
