// SPDX-License-Identifier: Apache-2.0
// casemate exec: an unmodified parent program with AF_VSOCK into the fabric.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace casemate::cli {

// find_exec runs `casemate exec [--] CMD [ARGS]`, whose options are the command's and none of CLI11's business, and
// returns the exit status: the command's. nullopt: another verb, or exec's --help.
std::optional<int> find_exec(int argc, char** argv);
// describe_exec lists the verb in --help.
void describe_exec(CLI::App& app);

// command_of takes what follows `exec`: a leading `--` is not part of the command.
std::vector<std::string> command_of(std::vector<std::string> remaining);

}  // namespace casemate::cli
