// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/demo.h"

#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "cli/casemate/demo_acts.h"
#include "cli/casemate/platform.h"

namespace casemate::cli {
namespace {

Result<os::Path> make_folder(const DemoOptions& options) {
  if (!options.keep.empty()) {
    const os::Path folder = std::filesystem::absolute(options.keep);
    if (std::filesystem::exists(folder)) return conflict("{}: exists; name a new folder", folder.native());
    TRY(os::make_private_directories(folder));
    return folder;
  }
  std::string name = (std::filesystem::temp_directory_path() / "casemate-demo-XXXXXX").native();
  if (::mkdtemp(name.data()) == nullptr) return errno_error(name);
  return os::Path(name);
}

Result<void> prepare_folder(const os::Path& folder) {
  const os::Path bin = TRY(os::executable_path()).parent_path();
  const os::Path images = bin.parent_path() / "images";
  if (!std::filesystem::exists(images / "data-processing" / "Dockerfile")) {
    return not_found("{}: no application image to build; build the tree first (./demo.sh does)", (images / "data-processing").native());
  }
  for (const char* name : {"work", "logs"}) TRY(os::make_private_directories(folder / name));
  std::error_code error;
  for (const char* name : {"data-processing", "data-processing-modified", "values.txt", "key_policy_template.json"}) {
    std::filesystem::copy(images / name, folder / "work" / name, std::filesystem::copy_options::recursive, error);
    if (error) return internal("{}: {}", (images / name).native(), error.message());
  }
  // buildah's images are the demonstration's own and go with it.
  const std::string storage = fmt::format("[storage]\ndriver = \"vfs\"\nrunroot = \"{0}/containers-run\"\ngraphroot = \"{0}/containers\"\n", folder.native());
  TRY(os::write_file(folder / "storage.conf", as_bytes(storage), 0600));
  const char* path = std::getenv("PATH");
  ::setenv("PATH", fmt::format("{}:{}", bin.native(), path == nullptr ? "/usr/bin:/bin" : path).c_str(), 1);
  return {};
}

void wait_for_enter() {
  std::printf("\n  [Enter] ");
  std::fflush(stdout);
  int c = 0;
  do c = std::getchar();
  while (c != '\n' && c != EOF);
}

struct Played {
  const Act* act;
  bool holds;
  std::chrono::duration<double> took;
};

void print_table(const std::vector<Played>& played) {
  std::printf("\n");
  std::chrono::duration<double> sum{};
  for (const auto& [act, holds, took] : played) {
    std::printf("  %s  %2d  %-32s %5.1f s\n", holds ? "ok    " : "FAILED", act->number, act->title, took.count());
    sum += took;
  }
  std::printf("  %-10s  %-32s %5.1f s\n", "", "", sum.count());
}

Result<int> play(const DemoOptions& options) {
  const os::Path folder = TRY(make_folder(options));
  struct Remove {
    os::Path folder;
    bool keep;
    ~Remove() {
      std::error_code ignored;
      if (!keep) std::filesystem::remove_all(folder, ignored);
    }
  };
  const Remove remove{folder, !options.keep.empty()};
  TRY(prepare_folder(folder));
  Stage stage(folder);
  std::vector<Played> played;
  bool all = true;
  for (const Act& act : acts()) {
    if (act.number > options.last_act || stage.interrupted()) break;
    if (options.pause && act.number > 1) wait_for_enter();
    stage.begin_act(act.number, act.title);
    const auto begin = std::chrono::steady_clock::now();
    act.play(stage, options.engine);
    played.push_back({&act, stage.act_holds(), std::chrono::steady_clock::now() - begin});
    std::printf("  => %s\n", stage.act_holds() ? "holds" : "DOES NOT HOLD");
    all = all && stage.act_holds();
  }
  all = all && !stage.interrupted();
  stage.close();
  print_table(played);
  std::printf("\n  %s\n", all ? "All acts hold." : "Not all acts hold.");
  return all ? 0 : 1;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  const auto status = play(options);
  if (status.ok()) return *status;
  std::fprintf(stderr, "casemate demo: %s\n", status.error().message().c_str());
  return 1;
}

void add_demo(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* verb = app.add_subcommand("demo", "Play the walkthrough, act by act, in a platform of its own");
  verb->add_flag("--pause", options->pause, "Wait for Enter between acts");
  verb->add_option("--act", options->last_act, "Stop after this act")->check(CLI::Range(1, 14));
  const std::map<std::string, Engine> engines{{"auto", Engine::kAutomatic}, {"docker", Engine::kDocker}, {"buildah", Engine::kBuildah}};
  verb->add_option("--engine", options->engine, "What builds the image: auto, docker or buildah")->transform(CLI::CheckedTransformer(engines));
  verb->add_option("--keep", options->keep, "Work in this new folder and leave it");
  verb->callback([options, &exit_code] { exit_code = run_demo(*options); });
}

}  // namespace casemate::cli
