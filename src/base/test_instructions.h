// SPDX-License-Identifier: Apache-2.0
// How many instructions a piece of code takes, counted one by one: what depends on secrets shows without a clock.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>

// Sanitizers do work of their own between the lines; tests that count are left out of their builds.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CASEMATE_COUNTS_INSTRUCTIONS 1
#else
#define CASEMATE_COUNTS_INSTRUCTIONS 0
#endif

namespace casemate {

// count_instructions runs `prepare` and then `work` twice in a child process, and counts the second `work` (and the
// child's end, which is always the same). Each count starts from a copy of this process as it is. 0: it went wrong.
inline std::uint64_t count_instructions(const std::function<void()>& prepare, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    prepare();
    work();
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return 0;
  std::uint64_t count = 0;
  for (;;) {
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    if (::waitpid(child, &status, 0) != child) break;
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? count : 0;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) break;
    ++count;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return 0;
}

}  // namespace casemate
