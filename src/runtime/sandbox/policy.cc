// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/policy.h"

#include <linux/sched.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>

#include "runtime/sandbox/emulated.h"

namespace casemate::runtime::sandbox {
namespace {

using seccomp::allow;
using seccomp::Action;
using seccomp::fail;
using seccomp::notify;

// Group: calls, separated by spaces, that share an action and its reason.
struct Group {
  Action then;
  std::string_view reason;
  std::string_view calls;
};

const Group kGroups[] = {
    {allow(), "files of the guest's own mounts; permissions and name spaces decide",
     "read pread64 readv preadv preadv2 write pwrite64 writev pwritev pwritev2 open openat openat2 creat close close_range "
     "stat fstat lstat newfstatat statx lseek access faccessat faccessat2 getdents getdents64 readlink readlinkat rename "
     "renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir mknod mknodat chmod fchmod "
     "fchmodat chown fchown lchown fchownat utime utimes utimensat futimesat umask truncate ftruncate fallocate fsync "
     "fdatasync sync syncfs sync_file_range copy_file_range sendfile splice tee vmsplice fadvise64 readahead flock fcntl "
     "dup dup2 dup3 pipe pipe2 statfs fstatfs getcwd chdir fchdir chroot setxattr lsetxattr fsetxattr getxattr lgetxattr "
     "fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr inotify_init inotify_init1 "
     "inotify_add_watch inotify_rm_watch memfd_create"},
    {allow(), "asynchronous reads and writes of files that are open anyway",
     "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents"},
    {allow(), "memory of the caller itself",
     "mmap munmap mprotect mremap madvise brk mlock mlock2 mlockall munlock munlockall msync mincore pkey_alloc pkey_free "
     "pkey_mprotect membarrier get_mempolicy remap_file_pages"},
    {allow(), "processes of the guest's pid namespace; execve keeps this filter",
     "fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid getpgrp setpgid getsid setsid "
     "kill tkill tgkill pidfd_open pidfd_send_signal prctl arch_prctl set_tid_address set_robust_list get_robust_list rseq "
     "futex futex_waitv sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler "
     "sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval "
     "getpriority setpriority ioprio_get ioprio_set getrlimit setrlimit prlimit64 getrusage times restart_syscall"},
    {allow(), "signals among them",
     "rt_sigaction rt_sigprocmask rt_sigpending rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo "
     "rt_tgsigqueueinfo sigaltstack pause alarm signalfd signalfd4"},
    {allow(), "ids that the guest's user namespace maps; capabilities only ever shrink under no_new_privs",
     "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid "
     "setgroups setfsuid setfsgid capget capset"},
    {allow(), "filters that the guest puts on itself only add to this one",
     "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"},
    {allow(), "reading clocks, timers",
     "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time timer_create timer_settime timer_gettime "
     "timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime setitimer getitimer adjtimex "
     "clock_adjtime"},
    {allow(), "System V and POSIX queues, memory and semaphores of the guest's ipc namespace",
     "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend "
     "mq_timedreceive mq_notify mq_getsetattr"},
    {allow(), "waiting", "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2"},
    {allow(), "about the machine, nothing secret", "uname sysinfo getrandom getcpu"},
    {allow(), "in a pid namespace it ends that namespace: how a Nitro guest stops itself", "reboot"},
    {notify(), "emulated on sockets that stand for AF_VSOCK, resumed on others",
     "bind connect listen accept accept4 getsockname getpeername shutdown"},

    {fail(EPERM), "mounts are made before the guest starts; the kernel's file system parsers are not for it",
     "mount umount2 pivot_root move_mount fsopen fsconfig fsmount fspick open_tree mount_setattr"},
    {fail(EPERM), "name spaces: a new one brings capabilities, and a network namespace would look like an emulated socket's",
     "unshare setns"},
    {fail(EPERM), "other processes' memory and descriptors; the supervisor's decisions rest on them",
     "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd"},
    {fail(EPERM), "kernel keyrings are the host's; they have no namespace", "keyctl add_key request_key"},
    {fail(EPERM), "code into the kernel", "bpf init_module finit_module delete_module kexec_load kexec_file_load"},
    {fail(EPERM), "wide kernel surface, no use in an enclave",
     "perf_event_open userfaultfd fanotify_init fanotify_mark quotactl open_by_handle_at name_to_handle_at lookup_dcookie "
     "acct modify_ldt iopl ioperm swapon swapoff syslog vhangup"},
    {fail(EPERM), "placement of memory over the host's nodes", "mbind set_mempolicy migrate_pages move_pages"},
    {fail(EPERM), "the clock is the host's", "clock_settime settimeofday"},
    {fail(EPERM), "the names are given at start", "sethostname setdomainname"},
    {fail(ENOSYS), "runs socket calls that this filter would not see; ENOSYS makes libraries fall back",
     "io_uring_setup io_uring_enter io_uring_register"},
    {fail(ENOSYS), "its flags lie in memory, out of a filter's sight; libraries fall back to clone", "clone3"},
};

constexpr std::uint32_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr std::uint32_t kSocketTypeMask = 0xf;
constexpr std::uint32_t kSoPassPidfd = 76;  // Linux 6.5
constexpr std::uint32_t kSoPeerPidfd = 77;
constexpr std::uint32_t kNetlinkRoute = 0;
constexpr std::uint32_t kIoctlTypeMask = 0xff00;
constexpr std::uint32_t kAddrNoRandomize = 0x0040000;
constexpr std::uint32_t kPersonalityQuery = 0xffffffff;

void add_argument_rules(std::vector<seccomp::Rule>& out) {
  const std::vector<seccomp::Rule> rules = {
      {"clone", {{0, 0, kNamespaceFlags}}, allow(), "threads and processes in the namespaces that there are"},
      {"clone", {}, fail(EPERM), "as unshare"},

      {"socket", {{0, AF_VSOCK}}, notify(), "never the kernel's own AF_VSOCK, which is the host's"},
      {"socket", {{0, AF_UNIX}}, allow(), "among the guest's processes"},
      {"socket", {{0, AF_INET}, {1, SOCK_STREAM, kSocketTypeMask}}, allow(), "loopback of the guest's network namespace"},
      {"socket", {{0, AF_INET}, {1, SOCK_DGRAM, kSocketTypeMask}}, allow(), "same"},
      {"socket", {{0, AF_INET6}, {1, SOCK_STREAM, kSocketTypeMask}}, allow(), "same"},
      {"socket", {{0, AF_INET6}, {1, SOCK_DGRAM, kSocketTypeMask}}, allow(), "same"},
      {"socket", {{0, AF_INET}}, fail(EPERM), "raw sockets: kernel surface without a use on loopback"},
      {"socket", {{0, AF_INET6}}, fail(EPERM), "same"},
      {"socket", {{0, AF_NETLINK}, {2, kNetlinkRoute}}, allow(), "raising loopback, as Nitro guests do"},
      {"socket", {{0, AF_NETLINK}}, fail(EPROTONOSUPPORT), "netfilter, audit, xfrm and the like: absent from a guest"},
      {"socket", {}, fail(EAFNOSUPPORT), "packet, alg, bluetooth, can, ...: absent from a guest"},
      {"socketpair", {{0, AF_UNIX}}, allow(), "among the guest's processes"},
      {"socketpair", {}, fail(EOPNOTSUPP), "what AF_VSOCK and AF_INET answer"},

      {"getsockopt", {{1, AF_VSOCK}}, notify(), "options of the emulated family"},
      {"getsockopt", {{1, SOL_SOCKET}, {2, SO_DOMAIN}}, notify(), "must say AF_VSOCK; Go's net package asks"},
      {"getsockopt", {{1, SOL_SOCKET}, {2, SO_ERROR}}, notify(), "outcome of an emulated non-blocking connect"},
      {"getsockopt", {{1, SOL_SOCKET}, {2, kSoPeerPidfd}}, fail(ENOPROTOOPT), "would be a handle on the host's process"},
      {"getsockopt", {}, allow(), "own sockets"},
      {"setsockopt", {{1, AF_VSOCK}}, notify(), "options of the emulated family"},
      {"setsockopt", {{1, SOL_SOCKET}, {2, kSoPassPidfd}}, fail(ENOPROTOOPT), "as SO_PEERPIDFD"},
      {"setsockopt", {}, allow(), "own sockets"},

      {"sendto", {{3, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as vsock answers; the Unix variant is young kernel code"},
      {"sendto", {}, allow(), "connected data"},
      {"sendmsg", {{2, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as sendto"},
      {"sendmsg", {}, allow(), "connected data"},
      {"sendmmsg", {{3, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as sendto"},
      {"sendmmsg", {}, allow(), "connected data"},
      {"recvfrom", {{3, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as sendto"},
      {"recvfrom", {}, allow(), "connected data"},
      {"recvmsg", {{2, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as sendto"},
      {"recvmsg", {}, allow(), "connected data"},
      {"recvmmsg", {{3, MSG_OOB, MSG_OOB}}, fail(EOPNOTSUPP), "as sendto"},
      {"recvmmsg", {}, allow(), "connected data"},

      {"ioctl", {{1, kNsmIoctlType << 8, kIoctlTypeMask}}, notify(), "/dev/nsm"},
      {"ioctl", {{1, kVsockGetLocalCid}}, notify(), "/dev/vsock"},
      {"ioctl", {{1, TIOCSTI}}, fail(EPERM), "typing into a terminal"},
      {"ioctl", {{1, TIOCLINUX}}, fail(EPERM), "same"},
      {"ioctl", {}, allow(), "devices that the guest can open: null, zero, random, its own terminals"},

      {"personality", {{0, 0}}, allow(), "the default"},
      {"personality", {{0, kAddrNoRandomize}}, allow(), "debuggers and some runtimes"},
      {"personality", {{0, kPersonalityQuery}}, allow(), "asking"},
      {"personality", {}, fail(EPERM), "other ABIs"},
  };
  out.insert(out.end(), rules.begin(), rules.end());
}

}  // namespace

std::vector<seccomp::Rule> guest_policy() {
  std::vector<seccomp::Rule> rules;
  for (const Group& group : kGroups) {
    std::string_view rest = group.calls;
    while (!rest.empty()) {
      const auto space = rest.find(' ');
      rules.push_back({rest.substr(0, space), {}, group.then, group.reason});
      rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    }
  }
  add_argument_rules(rules);
  return rules;
}

Result<seccomp::Program> guest_filter() {
  return seccomp::assemble(guest_policy(), fail(ENOSYS), fail(ENOSYS));
}

}  // namespace casemate::runtime::sandbox
