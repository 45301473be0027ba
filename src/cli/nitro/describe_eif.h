// SPDX-License-Identifier: Apache-2.0
// nitro-cli describe-eif, validate-eif and eif extract.
#pragma once

#include <string>

#include "eif/reader.h"

namespace CLI {
class App;
}

namespace casemate::cli::nitro {

void add_describe_eif(CLI::App& app, int& exit_code);
void add_validate_eif(CLI::App& app, int& exit_code);
void add_eif(CLI::App& app, int& exit_code);

// description is what describe-eif prints, without the final newline. Errors: kMalformed (certificate or metadata).
Result<std::string> description(const eif::Image& image);

// verdict is what validate-eif prints: each broken rule on a line, or what the image needs to run.
std::string verdict(const eif::Image& image);

}  // namespace casemate::cli::nitro
