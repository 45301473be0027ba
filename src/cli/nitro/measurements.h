// SPDX-License-Identifier: Apache-2.0
// How nitro-cli prints measurements.
#pragma once

#include <string>

#include "eif/measure.h"
#include "json/value.h"

namespace casemate::cli::nitro {

// OutputFormat of the verbs that have --output-format; AWS's is JSON.
enum class OutputFormat { kJson, kText };

// measurements_json gives {"HashAlgorithm", "PCR0", "PCR1", "PCR2"[, "PCR8"]}.
json::Object measurements_json(const eif::Measurements& measurements);

// print_measurements gives what build-enclave and sign-eif print, without the final newline.
std::string print_measurements(const eif::Measurements& measurements, OutputFormat format);

}  // namespace casemate::cli::nitro
