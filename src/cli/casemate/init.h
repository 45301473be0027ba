// SPDX-License-Identifier: Apache-2.0
// `casemate init NAME`: a new enclave project that runs as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace casemate::cli {

struct ProjectFile {
  std::string path;  // below the project's folder
  std::string content;
  bool executable = false;
};

struct Project {
  std::string name;    // lower-case letters, digits and hyphens: it names an image too
  std::string region;
  std::string bin;     // the folder of casemate's programs
};

// project_files is everything that init writes. Errors: kMalformed (name, region).
Result<std::vector<ProjectFile>> project_files(const Project& project);

// create_project writes them into a new folder below `where`. Errors: kConflict (the folder is there), kDenied.
Result<void> create_project(const Project& project, const std::string& where);

// add_init adds the verb; its callback prints and sets `exit_code`: 0 done, 1 failed.
void add_init(CLI::App& app, int& exit_code);

}  // namespace casemate::cli
