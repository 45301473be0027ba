// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <span>

#include "runtime/sandbox/init/steps.h"

namespace casemate::runtime::sandbox {
namespace {

// What a guest's root is left with, inside its own namespaces: ownership and identity of files and processes, its
// loopback network, low ports, its own end. Without SYS_ADMIN (mounts, namespaces), SYS_PTRACE, NET_RAW, SYS_MODULE,
// SYS_RAWIO, SYS_TIME, BPF, PERFMON and the rest.
constexpr std::array kKeptCapabilities = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE,     CAP_DAC_READ_SEARCH, CAP_FOWNER,   CAP_FSETID,     CAP_KILL,      CAP_SETGID,
    CAP_SETUID, CAP_SETPCAP,          CAP_LINUX_IMMUTABLE, CAP_NET_ADMIN, CAP_NET_BIND_SERVICE,         CAP_IPC_LOCK,
    CAP_IPC_OWNER, CAP_SYS_CHROOT,    CAP_SYS_NICE,        CAP_SYS_BOOT, CAP_SYS_RESOURCE, CAP_MKNOD,   CAP_LEASE,
    CAP_AUDIT_WRITE, CAP_SETFCAP};

Result<void> drop_capabilities(std::span<const int> keep) {
  std::uint64_t kept = 0;
  for (const int capability : keep) kept |= std::uint64_t{1} << capability;
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if ((kept >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return errno_error("capability bound");
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  for (std::size_t i = 0; i < sets.size(); ++i) {
    sets[i].effective = sets[i].permitted = static_cast<std::uint32_t>(kept >> (32 * i));
  }
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return errno_error("capset");
  return {};
}

Result<void> limit(__rlimit_resource_t resource, std::uint64_t soft, std::uint64_t hard) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return errno_error("getrlimit");
  // What we were given bounds what we can give: raising it takes the host's CAP_SYS_RESOURCE.
  rlimit wanted{std::min<rlim_t>(soft, now.rlim_max), std::min<rlim_t>(hard, now.rlim_max)};
  if (::setrlimit(resource, &wanted) != 0) return errno_error("setrlimit");
  return {};
}

Result<void> apply_limits(const BootSpec& spec) {
  TRY(limit(RLIMIT_CORE, 0, 0));
  TRY(limit(RLIMIT_NOFILE, 1024, spec.open_files));
  TRY(limit(RLIMIT_STACK, 8u << 20, RLIM_INFINITY));
  if (spec.data_bytes != 0) TRY(limit(RLIMIT_DATA, spec.data_bytes, spec.data_bytes));
  if (spec.processes != 0) TRY(limit(RLIMIT_NPROC, spec.processes, spec.processes));
  if (!spec.cpus.empty()) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (const std::uint32_t cpu : spec.cpus) CPU_SET(cpu, &cpus);
    if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) return errno_error("sched_setaffinity");
  }
  return {};
}

// Landlock's own header may be older than the kernel.
struct LandlockRuleset {
  std::uint64_t handled_fs;
  std::uint64_t handled_net;
  std::uint64_t scoped;
};
struct [[gnu::packed]] LandlockPathBeneath {
  std::uint64_t allowed;
  std::int32_t parent_fd;
};
constexpr unsigned kLandlockVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kLandlockRulePathBeneath = 1;
constexpr std::uint64_t kLandlockMakeChar = 1U << 6;
constexpr std::uint64_t kLandlockMakeBlock = 1U << 11;

// A second wall: files are reached below the guest's own root only, by whatever way a path or a descriptor leads; no
// device node is made; neither abstract sockets nor signals leave the guest. Kernels without Landlock have the first
// walls only (namespaces and the system-call filter).
Result<void> add_landlock() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockVersion);
  if (version <= 0) return {};
  // Rights by version: 13, +refer, +truncate, (network), +ioctl of devices.
  const int rights = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
  const std::uint64_t all = (std::uint64_t{1} << rights) - 1;
  const LandlockRuleset ruleset{all, 0, version >= 6 ? std::uint64_t{3} : 0};
  const std::size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const UniqueFd rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &ruleset, size, 0)));
  if (!rules) return errno_error("landlock ruleset");
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno_error("/");
  const LandlockPathBeneath beneath{all & ~(kLandlockMakeChar | kLandlockMakeBlock), root.get()};
  if (::syscall(SYS_landlock_add_rule, rules.get(), kLandlockRulePathBeneath, &beneath, 0) != 0) return errno_error("landlock rule");
  if (::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) return errno_error("landlock");
  return {};
}

Result<void> append_file(const char* path, std::string_view text, int flags) {
  const UniqueFd file(::open(path, O_WRONLY | O_APPEND | O_CLOEXEC | flags, 0644));
  if (!file) return errno_error(path);
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return errno_error(path);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

void Console::say(std::string_view text) const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::string line = fmt::format("[{:5}.{:06}] init: {}\n", now.tv_sec, now.tv_nsec / 1000, text);
  (void)!::write(fd_, line.data(), line.size());
}

Result<void> add_trust_anchors(std::string_view pem) {
  if (pem.empty()) return {};
  constexpr const char* kStores[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                     "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"};
  // Several names may be one file.
  std::vector<std::pair<dev_t, ino_t>> done;
  const std::string text = fmt::format("\n{}{}", pem, pem.ends_with('\n') ? "" : "\n");
  for (const char* store : kStores) {
    struct stat status{};
    if (::stat(store, &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const auto id = std::make_pair(status.st_dev, status.st_ino);
    bool known = false;
    for (const auto& other : done) known = known || other == id;
    if (known) continue;
    TRY(append_file(store, text, 0));
    done.push_back(id);
  }
  if (!done.empty()) return {};
  for (const char* folder : {"/etc", "/etc/ssl", "/etc/ssl/certs"}) {
    if (::mkdir(folder, 0755) != 0 && errno != EEXIST) return errno_error(folder);
  }
  ::unlink(kStores[0]);
  return append_file(kStores[0], text.substr(1), O_CREAT | O_EXCL);
}

Result<void> confine_filler(int root) {
  constexpr std::array kNeeded = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID};
  if (::fchdir(root) != 0 || ::chroot(".") != 0) return errno_error("root to unpack into");
  TRY(limit(RLIMIT_CORE, 0, 0));
  TRY(drop_capabilities(kNeeded));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("PR_SET_NO_NEW_PRIVS");
  return {};
}

Result<void> confine(const BootSpec& spec) {
  TRY(apply_limits(spec));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("no_new_privs");
  TRY(drop_capabilities(kKeptCapabilities));
  TRY(add_landlock());
  // The guest's root must not write this process's memory: it is what ends with the supervisor. This image was executed
  // outside the guest's user namespace, so a process that is not dumpable is out of the guest root's reach.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error("PR_SET_DUMPABLE");
  return {};
}

}  // namespace casemate::runtime::sandbox
