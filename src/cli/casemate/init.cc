// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/init.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/fd.h"
#include "os/file.h"
#include "os/process.h"

namespace casemate::cli {

// Made of template/ when the program is built: name, content, name, content, ..., null.
extern const char* const kTemplateFiles[];

namespace {

constexpr std::size_t kLongestName = 48;

struct Place {
  std::string_view file;
  const char* path;
  bool executable;
};
// Where a template's file goes under another name, or is to be run.
constexpr Place kPlaces[] = {{"run", "run", true}, {"cmakelists", "CMakeLists.txt", false}, {"gitignore", ".gitignore", false}, {"ci.yml", ".github/workflows/enclave.yml", false}};

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) text.replace(at, what.size(), by);
}

Result<void> check_word(std::string_view text, const char* what) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (text.empty() || text.size() > kLongestName || !std::all_of(text.begin(), text.end(), fits) || text.front() == '-' || text.back() == '-') {
    return malformed("{} \"{}\": want 1 to {} lower-case letters, digits and inner hyphens", what, text.substr(0, kLongestName), kLongestName);
  }
  return {};
}

// For a double-quoted place in a shell script: the value is a path of this machine.
std::string escaped_for_quotes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '$' || c == '`' || c == '}') out += '\\';
    out += c;
  }
  return out;
}

Result<void> write_new(const std::filesystem::path& path, const ProjectFile& file) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.executable ? 0777 : 0666));
  if (!fd) return errno_error(path.native());
  return os::write_all(fd.get(), as_bytes(file.content)).in(path.native());
}

}  // namespace

Result<std::vector<ProjectFile>> project_files(const Project& project) {
  TRY(check_word(project.name, "name"));
  TRY(check_word(project.region, "region"));
  std::vector<ProjectFile> files;
  for (const char* const* each = kTemplateFiles; *each != nullptr; each += 2) {
    ProjectFile file{each[0], each[1], false};
    for (const Place& place : kPlaces) {
      if (place.file != each[0]) continue;
      file.path = place.path;
      file.executable = place.executable;
    }
    replace_all(file.content, "@NAME@", project.name);
    replace_all(file.content, "@REGION@", project.region);
    replace_all(file.content, "@BIN@", escaped_for_quotes(project.bin));
    files.push_back(std::move(file));
  }
  return files;
}

Result<void> create_project(const Project& project, const std::string& where) {
  const auto files = TRY(project_files(project));
  const auto folder = std::filesystem::path(where) / project.name;
  if (::mkdir(folder.c_str(), 0777) != 0) {
    if (errno == EEXIST) return conflict("{}: exists already", folder.native());
    return errno_error(folder.native());
  }
  for (const ProjectFile& file : files) {
    const auto path = folder / file.path;
    std::error_code failure;
    std::filesystem::create_directories(path.parent_path(), failure);
    if (failure) return errno_error(path.parent_path().native(), failure.value());
    TRY(write_new(path, file));
  }
  return {};
}

void add_init(CLI::App& app, int& exit_code) {
  auto project = std::make_shared<Project>();
  project->region = "us-east-1";
  CLI::App* verb = app.add_subcommand("init", "Start an enclave project in a new folder: server, client, image, key policy, CI, and ./run");
  verb->add_option("name", project->name, "Name of folder and image")->required();
  verb->add_option("--region", project->region, "Region of the key")->capture_default_str();
  verb->callback([project, &exit_code] {
    const auto program = os::executable_path();
    auto done = program ? Result<void>() : Result<void>(program.error());
    if (done) {
      project->bin = program->parent_path().native();
      done = create_project(*project, ".");
    }
    if (!done) std::fprintf(stderr, "casemate init: %s\n", done.error().message().c_str());
    if (done) std::printf("%s: made. Next: cd %s && ./run\n", project->name.c_str(), project->name.c_str());
    exit_code = done ? 0 : 1;
  });
}

}  // namespace casemate::cli
