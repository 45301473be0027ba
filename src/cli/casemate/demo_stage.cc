// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/demo_stage.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/casemate/platform.h"

namespace casemate::cli {
namespace {

constexpr std::size_t kOutputLimit = 4 * 1024 * 1024;

volatile sig_atomic_t g_interrupted = 0;

void on_interrupt(int) {
  g_interrupted = 1;
}

void show_at_once(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Indenter prints a command's output as it comes, each line set in.
struct Indenter {
  bool at_start = true;
  void write(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (at_start) out += "    ";
      at_start = c == '\n';
      out += c;
    }
    show_at_once(out);
  }
};

}  // namespace

Stage::Stage(os::Path folder) : folder_(std::move(folder)), work_(folder_ / "work"), colour_(::isatty(STDOUT_FILENO) == 1) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

Stage::~Stage() {
  close();
}

bool Stage::interrupted() const {
  return g_interrupted != 0;
}

std::vector<std::string> Stage::shell(Who who, std::string_view command) const {
  std::string script = "set -o pipefail\n";
  script += fmt::format("export CASEMATE_HOME={} CASEMATE_RUN_DIR={}\n", shell_quoted((folder_ / "home").native()), shell_quoted((folder_ / "run").native()));
  script += fmt::format("export NITRO_CLI_LOGS_PATH={} CONTAINERS_STORAGE_CONF={} HOME={}\n", shell_quoted((folder_ / "logs").native()),
                        shell_quoted((folder_ / "storage.conf").native()), shell_quoted(folder_.native()));
  const os::Path settings = folder_ / (who == Who::kParent ? "parent.env" : "admin.env");
  script += fmt::format("[ ! -f {0} ] || . {0}\n", shell_quoted(settings.native()));
  for (const auto& [name, value] : variables_) script += fmt::format("{}={}\n", name, shell_quoted(value));
  script += fmt::format("cd {}\n", shell_quoted(work_.native()));
  script += command;
  return {"bash", "--noprofile", "--norc", "-c", script};
}

int Stage::run(Who who, std::string_view command, bool show) {
  output_.clear();
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return 255;
  const UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  os::SpawnOptions options;
  options.arguments = shell(who, command);
  options.stdout_fd = write_end.get();
  options.stderr_fd = write_end.get();
  const auto child = os::spawn(options);
  write_end.reset();
  if (!child.ok()) {
    output_ = child.error().message();
    return 127;
  }
  Indenter indenter;
  std::array<std::uint8_t, 4096> buffer;
  for (;;) {
    const auto count = os::read_some(read_end.get(), buffer);
    if (!count.ok() || *count == 0) break;
    const auto text = as_text(ByteView(buffer).first(*count));
    if (output_.size() < kOutputLimit) output_ += text;
    if (show) indenter.write(text);
  }
  if (show && !indenter.at_start) show_at_once("\n");
  const auto status = os::wait_for_exit(child->pid);
  return status.ok() ? *status : 255;
}

bool Stage::expect(Who who, std::string_view command, const std::vector<std::string>& wanted, Want want) {
  if (interrupted()) return check("interrupted", false);
  const std::string_view prompt = who == Who::kParent ? "parent" : "admin";
  show_at_once(colour_ ? fmt::format("  \033[36m{}$\033[0m \033[1m{}\033[0m\n", prompt, command) : fmt::format("  {}$ {}\n", prompt, command));
  const int status = run(who, command, true);
  const std::string_view first_line = command.substr(0, command.find('\n'));
  if ((status == 0) != (want == Want::kSuccess)) {
    return check(fmt::format("{}: exit status {}, want {}", first_line, status, want == Want::kSuccess ? "0" : "a failure"), false);
  }
  bool holds = true;
  for (const auto& text : wanted) {
    if (output_.find(text) != std::string::npos) continue;
    holds = check(fmt::format("{}: printed no \"{}\"", first_line, text), false);
  }
  return holds;
}

bool Stage::succeeds(Who who, std::string_view command, std::vector<std::string> wanted) {
  return expect(who, command, wanted, Want::kSuccess);
}

bool Stage::fails(Who who, std::string_view command, std::vector<std::string> wanted) {
  return expect(who, command, wanted, Want::kFailure);
}

std::string Stage::quietly(Who who, std::string_view command) {
  if (interrupted() || run(who, command, false) != 0) return {};
  std::string out = output_;
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool Stage::background(Who who, std::string_view command) {
  show_at_once(colour_ ? fmt::format("  \033[36mparent$\033[0m \033[1m{} &\033[0m\n", command) : fmt::format("  parent$ {} &\n", command));
  const auto log = os::open(folder_ / "background.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (!log.ok()) return check(log.error().message(), false);
  os::SpawnOptions options;
  options.arguments = shell(who, fmt::format("exec {}", command));
  options.stdout_fd = log->get();
  options.stderr_fd = log->get();
  const auto child = os::spawn(options);
  if (!child.ok()) return check(child.error().message(), false);
  background_.push_back(*child);
  return true;
}

bool Stage::check(std::string_view what, bool holds) {
  if (!holds) {
    failures_.emplace_back(what);
    show_at_once(colour_ ? fmt::format("  \033[31mwrong:\033[0m {}\n", what) : fmt::format("  wrong: {}\n", what));
  }
  return holds;
}

void Stage::say(std::string_view text) {
  show_at_once(colour_ ? fmt::format("  \033[2m# {}\033[0m\n", text) : fmt::format("  # {}\n", text));
}

void Stage::begin_act(int number, std::string_view title) {
  failures_.clear();
  show_at_once(colour_ ? fmt::format("\n\033[1;35mAct {}\033[0m  \033[1m{}\033[0m\n", number, title) : fmt::format("\nAct {}  {}\n", number, title));
}

void Stage::close() {
  if (closed_) return;
  closed_ = true;
  for (const auto& process : background_) {
    [[maybe_unused]] const auto ended = os::end(process, std::chrono::milliseconds(2000));
  }
  background_.clear();
  run(Who::kParent, "casemate down", false);
}

}  // namespace casemate::cli
