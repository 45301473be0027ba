// SPDX-License-Identifier: Apache-2.0
#include "os/paths.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "json/value.h"

namespace casemate::os {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : value;
}

Result<Path> home_directory() {
  if (const auto home = variable("HOME"); !home.empty()) return Path(home);
  if (const passwd* entry = ::getpwuid(::geteuid()); entry != nullptr && entry->pw_dir != nullptr) return Path(entry->pw_dir);
  return not_found("home folder: set HOME or CASEMATE_HOME");
}

}  // namespace

Result<Paths> paths_from_environment() {
  Paths paths;
  if (const auto home = variable("CASEMATE_HOME"); !home.empty()) {
    paths.home = home;
  } else if (const auto state = variable("XDG_STATE_HOME"); !state.empty()) {
    paths.home = Path(state) / "casemate";
  } else {
    paths.home = TRY(home_directory()) / ".local/state/casemate";
  }
  if (const auto run = variable("CASEMATE_RUN_DIR"); !run.empty()) {
    paths.run = run;
  } else if (const auto runtime = variable("XDG_RUNTIME_DIR"); !runtime.empty()) {
    paths.run = Path(runtime) / "casemate";
  } else {
    paths.run = Path(fmt::format("/tmp/casemate-{}", ::geteuid())) / "casemate";
  }
  paths.home = std::filesystem::absolute(paths.home);
  paths.run = std::filesystem::absolute(paths.run);
  return paths;
}

Result<Platform> load_platform(const Paths& paths) {
  const std::string file = paths.platform().native();
  const json::Value value = TRY(json::parse(TRY(read_file(paths.platform(), 65536))).in(file));
  Platform platform;
  const std::pair<const char*, std::string*> members[] = {{"account", &platform.account},
                                                          {"region", &platform.region},
                                                          {"role_arn", &platform.role_arn},
                                                          {"instance_id", &platform.instance_id}};
  for (const auto& [name, target] : members) {
    const std::string* text = value.string_at(name);
    if (text == nullptr) return malformed("{}: {}: missing, want a string", file, name);
    *target = *text;
  }
  return platform;
}

Result<void> save_platform(const Paths& paths, const Platform& platform) {
  const json::Value value = json::Object{{"account", platform.account},
                                         {"region", platform.region},
                                         {"role_arn", platform.role_arn},
                                         {"instance_id", platform.instance_id}};
  return write_file(paths.platform(), as_bytes(json::encode_pretty(value) + "\n"), 0600);
}

}  // namespace casemate::os
