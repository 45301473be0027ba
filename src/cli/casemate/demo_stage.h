// SPDX-License-Identifier: Apache-2.0
// The stage that the walkthrough's acts play on: it shows a command, runs it with bash, shows what it printed, and
// keeps the verdicts.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "os/process.h"

namespace casemate::cli {

// Whose credentials a command runs with.
enum class Who { kParent, kAdministrator };

class Stage {
 public:
  // `folder` holds the platform (home/, run/) and the acts' working folder (work/).
  explicit Stage(os::Path folder);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // succeeds runs a command and notes whether it exits 0 and prints every one of `wanted`; fails wants a non-zero exit.
  bool succeeds(Who who, std::string_view command, std::vector<std::string> wanted = {});
  bool fails(Who who, std::string_view command, std::vector<std::string> wanted = {});
  // quietly runs a command without showing it and returns its output without the last newline; empty when it fails.
  std::string quietly(Who who, std::string_view command);
  // background starts a command as in a terminal of its own; it is ended with the stage.
  bool background(Who who, std::string_view command);
  // check notes a verdict on something that no single command shows.
  bool check(std::string_view what, bool holds);
  void say(std::string_view text);

  // set gives later commands a shell variable.
  void set(const std::string& name, const std::string& value) { variables_[name] = value; }
  const std::string& output() const { return output_; }
  const os::Path& work() const { return work_; }
  const os::Path& folder() const { return folder_; }
  bool interrupted() const;

  // begin_act clears the verdict; act_holds tells it.
  void begin_act(int number, std::string_view title);
  bool act_holds() const { return failures_.empty(); }
  const std::vector<std::string>& failures() const { return failures_; }

  // close ends what runs in the background and brings the platform down.
  void close();

 private:
  enum class Want { kSuccess, kFailure };
  bool expect(Who who, std::string_view command, const std::vector<std::string>& wanted, Want want);
  int run(Who who, std::string_view command, bool show);
  std::vector<std::string> shell(Who who, std::string_view command) const;

  os::Path folder_;
  os::Path work_;
  std::map<std::string, std::string> variables_;
  std::vector<os::ProcessId> background_;
  std::vector<std::string> failures_;
  std::string output_;
  bool colour_;
  bool closed_ = false;
};

}  // namespace casemate::cli
