// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "runtime/sandbox/init/steps.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

Result<void> mount_on(const char* type, const std::string& target, unsigned long flags, const std::string& options = {}) {
  if (::mount(type, target.c_str(), type, flags, options.c_str()) != 0) return errno_error(fmt::format("mount {} on {}", type, target));
  return {};
}

Result<void> bind(const std::string& source, const std::string& target) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return errno_error(fmt::format("bind {} on {}", source, target));
  return {};
}

Result<void> make_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) return errno_error(path);
  return {};
}

Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return errno_error(path);
  return {};
}

// pivot makes the current folder, a mount point, the root and drops the old one with everything under it.
Result<void> pivot() {
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno_error("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return errno_error("umount of the old root");
  if (::chdir("/") != 0) return errno_error("chdir /");
  return {};
}

Result<std::uint64_t> mount_of(const std::string& path) {
  struct statx status{};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &status) != 0) return errno_error(path);
  if ((status.stx_mask & STATX_MNT_ID) == 0) return unsupported("statx: no mount numbers, want Linux 5.14");
  return status.stx_mnt_id;
}

// A device file may be bound in a user namespace but not made. /dev/nsm and /dev/vsock are /dev/null by another mount:
// a character device that anyone can open, told apart by the mount's number.
Result<Devices> make_devices(const std::string& dev) {
  TRY(mount_on("tmpfs", dev, MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m,nr_inodes=1024"));
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    TRY(make_file(dev + "/" + name));
    TRY(bind(fmt::format("/dev/{}", name), dev + "/" + name));
  }
  for (const char* name : {"nsm", "vsock"}) {
    TRY(make_file(dev + "/" + name));
    TRY(bind("/dev/null", dev + "/" + name));
  }
  return Devices{TRY(mount_of(dev + "/nsm")), TRY(mount_of(dev + "/vsock"))};
}

// Any existing folder serves to mount the new root on: the mount namespace is ours alone.
Result<std::string> scratch_folder() {
  struct stat status{};
  for (const char* path : {"/tmp", "/run", "/mnt", "/var"}) {
    if (::stat(path, &status) == 0 && S_ISDIR(status.st_mode)) return std::string(path);
  }
  return unsupported("no folder to mount the guest's root on, want /tmp");
}

// show_memory puts the guest's own size in place of the host's, as it was at boot: what is read of it is its total.
Result<void> show_memory(const BootSpec& spec) {
  const std::uint64_t total = spec.memory_bytes >> 10;
  const std::string text = fmt::format(
      "MemTotal:       {0:8} kB\nMemFree:        {0:8} kB\nMemAvailable:   {0:8} kB\nBuffers:        {1:8} kB\nCached:         {1:8} kB\n"
      "SwapCached:     {1:8} kB\nSwapTotal:      {1:8} kB\nSwapFree:       {1:8} kB\nShmem:          {1:8} kB\n",
      total, 0);
  const char* const source = "/dev/.meminfo";
  {
    const UniqueFd file(::open(source, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return errno_error(source);
  }
  TRY(bind(source, "/proc/meminfo"));
  if (::unlink(source) != 0) return errno_error(source);
  return {};
}

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif

constexpr const char* kLower = "/.lower";

// tree_mount gives a mount of the tree that stands nowhere yet.
UniqueFd tree_mount(const std::string& path, UniqueFd tree) {
  if (path.empty()) return tree;
  // By its path: a mount is cloned in its own mount namespace only.
  const UniqueFd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat found{}, meant{};
  if (!folder || ::fstat(folder.get(), &found) != 0 || ::fstat(tree.get(), &meant) != 0) return {};
  if (found.st_dev != meant.st_dev || found.st_ino != meant.st_ino) return {};
  UniqueFd mount(static_cast<int>(::syscall(SYS_open_tree, folder.get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC)));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (!mount || ::syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) return {};
  return mount;
}

// attach_tree is no error where it fails: the ramdisks are unpacked then.
void attach_tree(const UniqueFd& mount, const std::string& root) {
  const std::string target = root + kLower;
  if (!mount || ::mkdir(target.c_str(), 0700) != 0) return;
  if (::syscall(SYS_move_mount, mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) ::rmdir(target.c_str());
}

std::string tmpfs_options(const BootSpec& spec, std::string_view mode) {
  return fmt::format("mode={},size={},nr_inodes={}", mode, spec.memory_bytes, std::max<std::uint64_t>(spec.memory_bytes / 4096, 65536));
}

}  // namespace

Result<Devices> enter_initramfs(const BootSpec& spec, UniqueFd tree) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno_error("make mounts private");
  // While the host's folders are in sight: the next mount may cover them.
  const UniqueFd lower = spec.tree && tree ? tree_mount(spec.tree->path, std::move(tree)) : UniqueFd();
  const std::string root = TRY(scratch_folder());
  TRY(mount_on("tmpfs", root, MS_NOSUID, tmpfs_options(spec, "0755")));
  attach_tree(lower, root);
  TRY(make_folder(root + "/.staging"));
  for (const char* name : {"/proc", "/sys", "/dev"}) TRY(make_folder(root + "/.staging" + name));
  // Before the host's own proc goes out of sight: the kernel grants a new one only beside a visible one.
  if (auto proc = mount_on("proc", root + "/.staging/proc", kPlain); !proc.ok())
    return unsupported("{} (is /proc restricted here, as in a container? it must be whole)", proc.error().message());
  if (!mount_on("sysfs", root + "/.staging/sys", kPlain | MS_RDONLY).ok())
    TRY(mount_on("tmpfs", root + "/.staging/sys", kPlain, "mode=0755,size=64k"));
  const Devices devices = TRY(make_devices(root + "/.staging/dev"));
  if (::chdir(root.c_str()) != 0) return errno_error(root);
  TRY(pivot());
  return devices;
}

bool mount_tree(const BootSpec& spec) {
  struct stat lower{};
  if (!spec.tree || ::stat(kLower, &lower) != 0) return false;
  // What the tree takes of the host's memory the guest has not: together they are bounded as an unpacked root is.
  const auto resize = [&](std::uint64_t size) { return ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_NOSUID, fmt::format("size={}", size).c_str()) == 0; };
  // Marks of the file system that joins them, which tmpfs keeps from Linux 6.6 on.
  const bool mounted = ::mkdir("/.upper", 0700) == 0 && ::mkdir("/.upper/data", 0755) == 0 && ::mkdir("/.upper/work", 0700) == 0 &&
                       ::setxattr("/.upper/data", "user.casemate", "1", 1, 0) == 0 && ::removexattr("/.upper/data", "user.casemate") == 0 &&
                       resize(spec.memory_bytes - spec.tree->bytes) && ::mkdir("/rootfs", 0755) == 0 &&
                       ::mount("overlay", "/rootfs", "overlay", MS_NOSUID | MS_NODEV,
                               "lowerdir=/.lower,upperdir=/.upper/data,workdir=/.upper/work,userxattr") == 0;
  ::umount2(kLower, MNT_DETACH);
  if (mounted) return true;
  (void)!resize(spec.memory_bytes);
  for (const char* folder : {"/rootfs", "/.upper/work", "/.upper/data", "/.upper", kLower}) ::rmdir(folder);
  return false;
}

Result<void> enter_root(const BootSpec& spec) {
  for (const char* name : {"proc", "sys", "dev"}) {
    TRY(make_folder(fmt::format("/rootfs/{}", name)));
    if (::mount(fmt::format("/.staging/{}", name).c_str(), fmt::format("/rootfs/{}", name).c_str(), nullptr, MS_MOVE, nullptr) != 0)
      return errno_error(fmt::format("move mount of {}", name));
  }
  if (::chdir("/rootfs") != 0) return errno_error("/rootfs");
  TRY(pivot());

  constexpr std::array<std::array<const char*, 2>, 6> kLinks{{{"/proc/self/fd", "/dev/fd"},
                                                              {"/proc/self/fd/0", "/dev/stdin"},
                                                              {"/proc/self/fd/1", "/dev/stdout"},
                                                              {"/proc/self/fd/2", "/dev/stderr"},
                                                              {"/proc/self/fd/2", "/dev/console"},
                                                              {"pts/ptmx", "/dev/ptmx"}}};
  for (const auto& [target, link] : kLinks) {
    if (::symlink(target, link) != 0 && errno != EEXIST) return errno_error(link);
  }
  for (const char* folder : {"/run", "/tmp", "/dev/shm", "/dev/pts"}) TRY(make_folder(folder));
  TRY(mount_on("tmpfs", "/run", MS_NOSUID | MS_NODEV, tmpfs_options(spec, "0755")));
  TRY(mount_on("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, tmpfs_options(spec, "1777")));
  TRY(mount_on("tmpfs", "/dev/shm", kPlain, tmpfs_options(spec, "1777")));
  TRY(mount_on("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
               spec.many_ids ? "newinstance,ptmxmode=0666,mode=0620,gid=5" : "newinstance,ptmxmode=0666,mode=0620"));
  // Absent where the host has no cgroup file system; a guest does not miss it.
  (void)mount_on("tmpfs", "/sys/fs/cgroup", kPlain, "mode=0755,size=64k");
  TRY(show_memory(spec));
  for (const char* hidden : {"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sched_debug", "/proc/kmsg",
                             "/proc/sysrq-trigger", "/proc/latency_stats"}) {
    if (::access(hidden, F_OK) == 0) TRY(bind("/dev/null", hidden));
  }
  return {};
}

}  // namespace casemate::runtime::sandbox
