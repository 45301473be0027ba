// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/id_map.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/fd.h"

namespace casemate::runtime::sandbox {
namespace {

// Above what distributions give to users, containers and systemd, below 2^31.
constexpr std::uint64_t kFirstRootRange = 0x40000000;
constexpr std::uint64_t kRootRanges = 0x4000;
constexpr std::uint32_t kNobody = 65534;

std::string read_text(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// is_mapped tells whether our own user namespace has all of [first, first + count).
bool is_mapped(const char* map, std::uint64_t first, std::uint64_t count) {
  std::istringstream lines(read_text(map));
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t length = 0;
  while (lines >> inside >> outside >> length) {
    if (first >= inside && first + count <= inside + length) return true;
  }
  return false;
}

Result<void> write_map(pid_t pid, const char* name, const std::string& text) {
  const std::string path = fmt::format("/proc/{}/{}", pid, name);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return errno_error(path);
  return {};
}

Result<void> run_helper(const char* program, pid_t pid, std::uint32_t first, std::uint32_t count) {
  std::vector<std::string> arguments{program, std::to_string(pid), "0", std::to_string(first), std::to_string(count)};
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = -1;
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
  const int error = ::posix_spawnp(&child, program, &quiet, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&quiet);
  if (error != 0) return errno_error(program, error);
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) return unsupported("{}: refused ids {}..{}; see /etc/subuid and /etc/subgid", program, first, first + count - 1);
  return {};
}

bool has_program(const char* name) {
  for (const char* folder : {"/usr/bin/", "/bin/", "/usr/local/bin/"}) {
    if (::access((std::string(folder) + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

std::uint32_t find_subordinate(std::string_view file, std::string_view name, std::uint32_t id) {
  const std::string number = std::to_string(id);
  while (!file.empty()) {
    const auto end = file.find('\n');
    const std::string_view line = file.substr(0, end);
    file = end == std::string_view::npos ? std::string_view() : file.substr(end + 1);
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view owner = line.substr(0, first);
    if (owner != number && (name.empty() || owner != name)) continue;
    std::uint32_t start = 0;
    std::uint32_t count = 0;
    std::from_chars(line.data() + first + 1, line.data() + second, start);
    std::from_chars(line.data() + second + 1, line.data() + line.size(), count);
    if (start != 0 && count >= kGuestIds) return start;
  }
  return 0;
}

IdMap plan_ids(std::uint32_t slot) {
  IdMap map;
  if (::geteuid() == 0) {
    map.means = IdMap::Means::kDirect;
    const std::uint64_t first = kFirstRootRange + slot % kRootRanges * kGuestIds;
    const bool whole = is_mapped("/proc/self/uid_map", first, kGuestIds) && is_mapped("/proc/self/gid_map", first, kGuestIds);
    // Root of a container that has few ids: the guest's root is nobody there, alone.
    map.first_uid = map.first_gid = whole ? static_cast<std::uint32_t>(first) : kNobody;
    map.count = whole ? kGuestIds : 1;
    return map;
  }
  map.first_uid = ::geteuid();
  map.first_gid = ::getegid();
  const passwd* user = ::getpwuid(::geteuid());
  const std::string name = user != nullptr ? user->pw_name : "";
  const std::uint32_t uid = find_subordinate(read_text("/etc/subuid"), name, ::geteuid());
  const std::uint32_t gid = find_subordinate(read_text("/etc/subgid"), name, ::geteuid());
  if (uid != 0 && gid != 0 && has_program("newuidmap") && has_program("newgidmap"))
    map = {IdMap::Means::kHelper, uid, gid, kGuestIds};
  return map;
}

Result<IdMap> apply_ids(pid_t pid, const IdMap& map) {
  if (map.means == IdMap::Means::kHelper) {
    if (run_helper("newgidmap", pid, map.first_gid, map.count).ok()) {
      TRY(run_helper("newuidmap", pid, map.first_uid, map.count));
      return map;
    }
    return apply_ids(pid, {IdMap::Means::kSelf, ::geteuid(), ::getegid(), 1});
  }
  // With one id the guest could not use setgroups anyway, and without privilege the kernel demands that it be denied.
  if (map.count == 1) TRY(write_map(pid, "setgroups", "deny"));
  TRY(write_map(pid, "gid_map", fmt::format("0 {} {}\n", map.first_gid, map.count)));
  TRY(write_map(pid, "uid_map", fmt::format("0 {} {}\n", map.first_uid, map.count)));
  return map;
}

}  // namespace casemate::runtime::sandbox
