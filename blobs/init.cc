// SPDX-License-Identifier: Apache-2.0
// The first process of an enclave: brings the boot ramdisk's kernel to the point where the application runs, in the
// order that AWS's init keeps. Static, without a C++ runtime: everything here is a system call and its check.

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace {

constexpr std::uint32_t kParentCid = 3;
constexpr std::uint32_t kHeartbeatPort = 9000;
constexpr std::uint8_t kHeartbeat = 0xb7;
constexpr char kDriver[] = "nsm.ko";
constexpr char kPath[] = "PATH=/sbin:/usr/sbin:/bin:/usr/bin";
constexpr unsigned long kNoDevices = MS_NODEV | MS_NOSUID | MS_NOEXEC;

// die ends the first process, upon which the kernel panics and the enclave with it.
[[noreturn]] void die(const char* what, const char* which = "") {
  const int number = errno;
  dprintf(STDERR_FILENO, "init: %s %s: %s\n", what, which, strerror(number));
  exit(number != 0 ? number : 1);
}

void warn(const char* what, const char* which) { dprintf(STDERR_FILENO, "init: %s %s: %s\n", what, which, strerror(errno)); }

void mount_device_files() {
  // A kernel that mounts it by itself is fine.
  if (mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, nullptr) != 0 && errno != EBUSY) die("mount", "/dev");
}

void open_console() {
  const int console = open("/dev/console", O_RDWR);
  if (console < 0) die("open", "/dev/console");
  for (int fd = 0; fd <= 2; ++fd) {
    if (dup2(console, fd) < 0) die("open", "/dev/console");
  }
  if (console > 2) close(console);
}

void load_driver() {
  const int fd = open(kDriver, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return;  // the kernel has its own
    die("open", kDriver);
  }
  if (syscall(SYS_finit_module, fd, "", 0) != 0) die("load", kDriver);
  close(fd);
  if (unlink(kDriver) != 0) warn("unlink", kDriver);
}

// The parent waits for one byte and sends it back: only then has the enclave booted.
void tell_parent() {
  errno = 0;
  const int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket", "vsock");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = kParentCid;
  address.svm_port = kHeartbeatPort;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect", "heartbeat");
  std::uint8_t byte = kHeartbeat;
  if (write(fd, &byte, 1) != 1) die("write", "heartbeat");
  if (read(fd, &byte, 1) != 1) die("read", "heartbeat");
  if (byte != kHeartbeat) die("wrong", "heartbeat");
  close(fd);
}

// read_lines gives a file's lines as a null-terminated array, or null when there is no such file.
char** read_lines(const char* path) {
  FILE* file = fopen(path, "re");
  if (file == nullptr) {
    warn("open", path);
    return nullptr;
  }
  char** lines = static_cast<char**>(calloc(1, sizeof(char*)));
  if (lines == nullptr) die("memory", path);
  for (std::size_t count = 0;;) {
    char* line = nullptr;
    std::size_t capacity = 0;
    const ssize_t length = getline(&line, &capacity, file);
    if (length < 0) {
      free(line);
      break;
    }
    if (length > 0 && line[length - 1] == '\n') line[length - 1] = '\0';
    char** const more = static_cast<char**>(realloc(lines, (count + 2) * sizeof(char*)));
    if (more == nullptr) die("memory", path);
    lines = more;
    lines[count++] = line;
    lines[count] = nullptr;
  }
  fclose(file);
  unlink(path);
  return lines;
}

void enter_application_root() {
  if (mount("/rootfs", "/rootfs", nullptr, MS_BIND, nullptr) != 0) die("bind", "/rootfs");
  if (chdir("/rootfs") != 0) die("chdir", "/rootfs");
  if (mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) die("move", "/rootfs");
  if (chroot(".") != 0) die("chroot", "/rootfs");
  if (chdir("/") != 0) die("chdir", "/");
}

void mount_one(const char* source, const char* target, const char* type, unsigned long flags, const char* data = nullptr) {
  if (mount(source, target, type, flags, data) != 0) die("mount", target);
}

void make_folder(const char* path) {
  if (mkdir(path, 0755) != 0 && errno != EEXIST) die("mkdir", path);
}

void make_link(const char* target, const char* path) {
  if (symlink(target, path) != 0 && errno != EEXIST) die("symlink", path);
}

// mount_control_groups mounts every enabled controller of version 1, as the enclave's kernels have them.
void mount_control_groups() {
  FILE* file = fopen("/proc/cgroups", "re");
  if (file == nullptr) return;  // a kernel without them
  char line[256];
  while (fgets(line, sizeof line, file) != nullptr) {
    char name[64];
    int hierarchy = 0;
    int groups = 0;
    int enabled = 0;
    if (line[0] == '#' || sscanf(line, "%63s %d %d %d", name, &hierarchy, &groups, &enabled) != 4 || enabled == 0) continue;
    char path[sizeof "/sys/fs/cgroup/" + sizeof name];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s", name);
    make_folder(path);
    mount_one(name, path, "cgroup", kNoDevices, name);
  }
  fclose(file);
}

void mount_file_systems() {
  mount_one("proc", "/proc", "proc", kNoDevices);
  make_link("/proc/self/fd", "/dev/fd");
  make_link("/proc/self/fd/0", "/dev/stdin");
  make_link("/proc/self/fd/1", "/dev/stdout");
  make_link("/proc/self/fd/2", "/dev/stderr");
  mount_one("tmpfs", "/run", "tmpfs", kNoDevices, "mode=0755");
  mount_one("tmpfs", "/tmp", "tmpfs", kNoDevices);
  make_folder("/dev/shm");
  mount_one("shm", "/dev/shm", "tmpfs", kNoDevices);
  make_folder("/dev/pts");
  mount_one("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC);
  mount_one("sysfs", "/sys", "sysfs", kNoDevices);
  mount_one("cgroup_root", "/sys/fs/cgroup", "tmpfs", kNoDevices, "mode=0755");
  mount_control_groups();
}

pid_t launch(char** command, char** environment) {
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child > 0) return child;
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  setsid();
  static char shell[] = "sh";
  static char* default_command[] = {shell, nullptr};
  static char path[] = "PATH=/sbin:/usr/sbin:/bin:/usr/bin";
  static char* default_environment[] = {path, nullptr};
  if (command == nullptr || command[0] == nullptr) command = default_command;
  if (environment == nullptr) environment = default_environment;
  putenv(const_cast<char*>(kPath));  // where execvpe looks; the program sees its own environment
  execvpe(command[0], command, environment);
  die("execute", command[0]);
}

void reap_until(pid_t child) {
  for (;;) {
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended < 0 && errno != EINTR) die("wait");
    if (ended != child) continue;
    if (WIFSIGNALED(status)) {
      dprintf(STDERR_FILENO, "init: the application was ended by signal %d\n", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
      dprintf(STDERR_FILENO, "init: the application ended with status %d\n", WEXITSTATUS(status));
    }
    return;
  }
}

}  // namespace

int main() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  mount_device_files();
  open_console();
  load_driver();
  tell_parent();
  char** const environment = read_lines("/env");
  char** const command = read_lines("/cmd");
  enter_application_root();
  mount_device_files();
  mount_file_systems();
  reap_until(launch(command, environment));
  reboot(RB_AUTOBOOT);
  die("reboot");
}
