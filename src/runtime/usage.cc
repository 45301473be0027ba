// SPDX-License-Identifier: Apache-2.0
#include "runtime/usage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "os/file.h"

namespace casemate::runtime {
namespace {

constexpr std::size_t kStatBytes = 4096;

struct Stat {
  pid_t parent = 0;
  std::uint64_t ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t pages = 0;
};

// proc_pid_stat(5): the fields after the name, which is in parentheses and may hold any character.
std::optional<Stat> read_stat(std::string_view pid) {
  const Result<std::string> text = os::read_file(os::Path("/proc") / pid / "stat", kStatBytes);
  if (!text) return std::nullopt;
  const auto name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text->substr(name_end + 1));
  std::string state;
  fields >> state;
  std::vector<std::int64_t> numbers(21);  // ppid, the fourth field, to rss, the 24th
  for (auto& number : numbers) {
    if (!(fields >> number)) return std::nullopt;
  }
  Stat stat;
  stat.parent = static_cast<pid_t>(numbers[0]);
  for (const std::size_t i : {10U, 11U, 12U, 13U}) stat.ticks += static_cast<std::uint64_t>(std::max<std::int64_t>(numbers[i], 0));
  stat.threads = static_cast<std::uint64_t>(std::max<std::int64_t>(numbers[16], 0));
  stat.pages = static_cast<std::uint64_t>(std::max<std::int64_t>(numbers[20], 0));
  return stat;
}

std::uint64_t page_bytes() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

Result<Usage> usage_of(pid_t root) {
  std::map<pid_t, Stat> all;
  std::multimap<pid_t, pid_t> children;
  for (const std::string& name : TRY(os::list("/proc"))) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (const auto stat = read_stat(name)) {
      all[pid] = *stat;
      children.emplace(stat->parent, pid);
    }
  }
  if (!all.contains(root)) return not_found("process {}: gone", root);
  Usage usage;
  std::uint64_t ticks = 0;
  std::vector<pid_t> todo{root};
  while (!todo.empty()) {
    const pid_t pid = todo.back();
    todo.pop_back();
    const Stat& stat = all[pid];
    ++usage.processes;
    usage.threads += stat.threads;
    usage.resident_bytes += stat.pages * page_bytes();
    ticks += stat.ticks;
    const auto [first, last] = children.equal_range(pid);
    for (auto child = first; child != last; ++child) todo.push_back(child->second);
  }
  usage.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return usage;
}

Result<std::uint64_t> resident_bytes_of(pid_t pid) {
  const auto stat = read_stat(std::to_string(pid));
  if (!stat) return not_found("process {}: gone", pid);
  return stat->pages * page_bytes();
}

void release_code_pages() {
  const Result<std::string> maps = os::read_file("/proc/self/maps", 1024 * 1024);
  if (!maps) return;
  std::istringstream lines(*maps);
  std::string line;
  while (std::getline(lines, line)) {
    // Only code of files: a read-only mapping may hold relocated pages of our own, which must not be dropped.
    std::istringstream fields(line);
    std::string range, permissions, offset, device, inode, path;
    fields >> range >> permissions >> offset >> device >> inode >> path;
    const auto dash = range.find('-');
    if (permissions != "r-xp" || !path.starts_with('/') || dash == std::string::npos) continue;
    const std::uint64_t first = std::strtoull(range.c_str(), nullptr, 16);
    const std::uint64_t last = std::strtoull(range.c_str() + dash + 1, nullptr, 16);
    if (first < last) ::madvise(reinterpret_cast<void*>(first), static_cast<std::size_t>(last - first), MADV_DONTNEED);
  }
}

}  // namespace casemate::runtime
