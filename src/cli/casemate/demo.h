// SPDX-License-Identifier: Apache-2.0
// `casemate demo`: the walkthrough, act by act, with the commands that a user would type.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace casemate::cli {

enum class Engine { kAutomatic, kDocker, kBuildah };

struct DemoOptions {
  int last_act = 14;
  bool pause = false;
  Engine engine = Engine::kAutomatic;
  std::string keep;  // folder to work in and to leave; a temporary one otherwise
};

void add_demo(CLI::App& app, int& exit_code);

// run_demo plays the acts in a platform of its own and returns 0 only if every check of every act played holds.
// Nothing is left running and, without `keep`, nothing on disk.
int run_demo(const DemoOptions& options);

}  // namespace casemate::cli
