// SPDX-License-Identifier: Apache-2.0
// Starts an image's program as its USER in its WORKDIR, which an enclave's init knows nothing of: build-enclave puts it
// into images that are built with --honour-oci-config. Static, without a C++ runtime, like init.
// usage: launch UID GID GROUP,GROUP,... DIRECTORY PROGRAM [ARGUMENT...]

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace {

constexpr int kMaxGroups = 1024;

[[noreturn]] void die(const char* what, const char* which) {
  dprintf(STDERR_FILENO, "launch: %s %s: %s\n", what, which, strerror(errno));
  exit(127);
}

// number reads digits up to `end`, which is a comma or the end of the text.
unsigned number(const char* text, const char** end) {
  char* after = nullptr;
  errno = 0;
  const unsigned long value = strtoul(text, &after, 10);
  if (after == text || errno != 0 || value >= 0xffffffffUL || (*after != ',' && *after != '\0')) {
    errno = EINVAL;
    die("number", text);
  }
  *end = after;
  return static_cast<unsigned>(value);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 6) {
    errno = EINVAL;
    die("arguments", "missing");
  }
  const char* end = nullptr;
  const unsigned uid = number(arguments[1], &end);
  const unsigned gid = number(arguments[2], &end);
  static gid_t groups[kMaxGroups];
  size_t group_count = 0;
  for (const char* text = arguments[3]; *text != '\0'; text = *end == ',' ? end + 1 : end) {
    if (group_count == kMaxGroups) {
      errno = E2BIG;
      die("groups", arguments[3]);
    }
    groups[group_count++] = number(text, &end);
  }
  // As engines do: the folder is entered with root's rights.
  if (chdir(arguments[4]) != 0) die("enter", arguments[4]);
  if (uid != 0 || gid != 0 || group_count != 0) {
    if (setgroups(group_count, groups) != 0) die("groups", arguments[3]);
    if (setgid(gid) != 0) die("group", arguments[2]);
    if (setuid(uid) != 0) die("user", arguments[1]);
  }
  execvp(arguments[5], arguments + 5);
  die("execute", arguments[5]);
}
