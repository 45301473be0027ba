// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr std::uint64_t kCpuPeriodMicroseconds = 100'000;  // the kernel's default

// A hierarchy: where it is mounted, and this process's own group in it.
struct Hierarchy {
  std::string mount;
  std::string root;  // what of it the mount shows
  std::string own;
  bool version_2 = false;

  // A group's path below the mount; none when it lies outside of what is mounted.
  std::optional<std::string> folder() const {
    if (root == "/") return mount + own;
    if (!own.starts_with(root)) return std::nullopt;
    return mount + own.substr(root.size());
  }
};

bool has_option(std::string_view options, std::string_view name) {
  while (!options.empty()) {
    const auto comma = options.find(',');
    if (options.substr(0, comma) == name) return true;
    options = comma == std::string_view::npos ? std::string_view() : options.substr(comma + 1);
  }
  return false;
}

std::string whole_text(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Facts are read once for all controllers: the kernel composes them anew for each reader.
struct Facts {
  std::string mounts = whole_text("/proc/self/mountinfo");
  std::string groups = whole_text("/proc/self/cgroup");
};

std::optional<Hierarchy> find_hierarchy(const Facts& facts, std::string_view controller) {
  Hierarchy found;
  std::istringstream mounts(facts.mounts);
  std::string line;
  while (std::getline(mounts, line) && found.mount.empty()) {
    if (line.find(" - cgroup") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string skip, root, point, type, source, options;
    fields >> skip >> skip >> skip >> root >> point;
    while (fields >> skip && skip != "-") continue;
    fields >> type >> source >> options;
    const bool matches = controller.empty() ? type == "cgroup2" : type == "cgroup" && has_option(options, controller);
    if (matches) found = {point, root, "", controller.empty()};
  }
  if (found.mount.empty()) return std::nullopt;
  std::istringstream groups(facts.groups);
  while (std::getline(groups, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool matches = controller.empty() ? controllers.empty() : has_option(controllers, controller);
    if (matches) found.own = line.substr(second + 1);
  }
  if (found.own.empty()) return std::nullopt;
  return found;
}

bool write_value(const std::string& path, const std::string& value) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

bool contains_word(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  std::string item;
  while (file >> item) {
    if (item == word) return true;
  }
  return false;
}

// enable_controllers lets the groups in a folder be limited, as far as this process may: where a service manager has not, and
// at the root, which alone may have processes of its own beside such groups.
void enable_controllers(const std::string& folder) {
  const std::string control = folder + "cgroup.subtree_control";
  for (const char* controller : {"memory", "pids", "cpu"}) {
    if (!contains_word(control, controller)) (void)write_value(control, fmt::format("+{}", controller));
  }
}

// remove_group ends what is left in a group of version 2 (cgroup.kill, Linux 5.14) where that keeps it from being removed.
bool remove_group(const std::string& folder) {
  if (::rmdir(folder.c_str()) == 0) return true;
  if (errno != EBUSY) return true;
  (void)write_value(folder + "/cgroup.kill", "1");
  return false;
}

constexpr std::string_view kPrefix = "casemate-";

// The folders in which guests' groups are made, with a slash at their end: a sibling of our own group in version 2, which
// has no processes in inner groups, and a child of it in version 1.
std::optional<std::string> parent_folder(const Facts& facts, std::string_view controller) {
  const auto hierarchy = find_hierarchy(facts, controller);
  if (!hierarchy || !hierarchy->folder()) return std::nullopt;
  std::string folder = *hierarchy->folder();
  if (hierarchy->own == "/") return folder + (folder.ends_with('/') ? "" : "/");
  return hierarchy->version_2 ? folder.substr(0, folder.rfind('/') + 1) : folder + "/";
}

bool is_dead(std::string_view name) {
  pid_t pid = 0;
  const std::string_view digits = name.substr(kPrefix.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || pid <= 0 || end == digits.data() + digits.size() || *end != '-') return false;
  if (::kill(pid, 0) != 0) return errno == ESRCH;
  // A zombie that nobody reaps, as in a container without an init of its own, is as dead.
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(") ");
  return name_end != std::string::npos && name_end + 2 < text.size() && (text[name_end + 2] == 'Z' || text[name_end + 2] == 'X');
}

}  // namespace

std::string Cgroup::name_of(std::uint32_t cid) { return fmt::format("{}{}-{}", kPrefix, ::getpid(), cid); }

void Cgroup::sweep() {
  const Facts facts;
  for (const std::string_view controller : {"", "memory", "pids", "cpu"}) {
    const auto parent = parent_folder(facts, controller);
    if (!parent) continue;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(*parent, error)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(kPrefix) && is_dead(name)) (void)remove_group(entry.path());
    }
  }
}

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
  if (this == &other) return *this;
  remove();
  folders_ = std::exchange(other.folders_, {});
  memory_ = std::exchange(other.memory_, false);
  processes_ = std::exchange(other.processes_, false);
  return *this;
}

Cgroup Cgroup::create(const std::string& name, const CgroupLimits& limits, pid_t pid) {
  Cgroup group;
  const Facts facts;
  const auto enter = [&](const std::string& folder, auto&& configure) {
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return false;
    if (configure() && write_value(folder + "/cgroup.procs", std::to_string(pid))) {
      group.folders_.push_back(folder);
      return true;
    }
    ::rmdir(folder.c_str());
    return false;
  };

  if (const auto parent = parent_folder(facts, "")) {
    enable_controllers(*parent);
    const std::string folder = *parent + name;
    enter(folder, [&] {
      // memory.oom.group stays 0: the process that takes most is killed, as by the kernel of a machine with so much memory.
      group.memory_ = write_value(folder + "/memory.max", std::to_string(limits.memory_bytes));
      (void)write_value(folder + "/memory.swap.max", "0");
      group.processes_ = write_value(folder + "/pids.max", std::to_string(limits.processes));
      (void)write_value(folder + "/cpu.max", fmt::format("{} {}", limits.cpus * kCpuPeriodMicroseconds, kCpuPeriodMicroseconds));
      return group.memory_ || group.processes_;
    });
    if (!group.folders_.empty()) return group;
    group.memory_ = group.processes_ = false;
  }
  const auto limit_by = [&](const char* controller, const char* file, const std::string& value) {
    const auto parent = parent_folder(facts, controller);
    if (!parent) return false;
    const std::string folder = *parent + name;
    return enter(folder, [&] { return write_value(folder + "/" + file, value); });
  };
  group.memory_ = limit_by("memory", "memory.limit_in_bytes", std::to_string(limits.memory_bytes));
  group.processes_ = limit_by("pids", "pids.max", std::to_string(limits.processes));
  (void)limit_by("cpu", "cpu.cfs_quota_us", std::to_string(limits.cpus * kCpuPeriodMicroseconds));
  return group;
}

void Cgroup::remove() {
  for (const std::string& folder : folders_) {
    // The last process may be reaped and still be counted for a moment.
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (remove_group(folder)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  folders_.clear();
}

}  // namespace casemate::runtime::sandbox
