// SPDX-License-Identifier: Apache-2.0
// What a guest's intercepted calls cost, and what an established vsock connection carries beside a plain Unix socket of the
// same guest. In a guest it serves rounds to whoever connects to vsock port 9000: a byte asks for one, `name value` lines and an
// empty one answer. With the argument `bare`, on the host: the same calls, notified to a supervisor that does the least that
// answers them, a round for each byte of standard input.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// linux/vm_sockets.h needs sys/socket.h before it.
#include <linux/vm_sockets.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

enum { kCalls = 1000, kSockets = 100, kPings = 1000, kMegabytes = 48, kControlPort = 9000, kNobodysPort = 9001, kFirstPort = 20000 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void ask_name(int fd) {
  struct sockaddr_storage name;
  socklen_t size = sizeof name;
  if (getsockname(fd, (struct sockaddr *)&name, &size) != 0) fail("getsockname");
}

static void ask_option(int fd) {
  unsigned long long value;
  socklen_t size = sizeof value;
  if (getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size) != 0) fail("getsockopt");
}

static double repeated(void (*call)(int), int fd) {
  double start = now();
  for (int i = 0; i < kCalls; ++i) call(fd);
  return (now() - start) / kCalls * 1e6;
}

static int compare(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }
static double median_us(double *values) {
  qsort(values, kSockets, sizeof *values, compare);
  return values[kSockets / 2] * 1e6;
}

// Each call on a socket of its own. Medians: now and then the scheduler wakes another processor some times in a row, with and
// without our supervisor, and those calls cost many times the others.
static void on_sockets(FILE *out, int family) {
  static unsigned port = kFirstPort;
  static double made[kSockets], bound[kSockets], refused[kSockets];
  for (int i = 0; i < kSockets; ++i) {
    struct sockaddr_vm own = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port++};
    struct sockaddr_vm nobody = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = kNobodysPort};
    double start = now();
    int fd = socket(family, SOCK_STREAM, 0);
    made[i] = now() - start;
    if (fd < 0) fail("socket");
    start = now();
    if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0) fail("bind");
    bound[i] = now() - start;
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    start = now();
    if (connect(fd, (struct sockaddr *)&nobody, sizeof nobody) == 0) fail("connect");
    refused[i] = now() - start;
    close(fd);
  }
  fprintf(out, "socket %.2f\nbind %.2f\nconnect_refused %.2f\n", median_us(made), median_us(bound), median_us(refused));
}

static double throughput(int fds[2]) {
  static char block[65536];
  const long total = (long)kMegabytes << 20;
  double start = now();
  pid_t child = fork();
  if (child == 0) {
    for (long sent = 0; sent < total;) {
      ssize_t count = write(fds[0], block, sizeof block);
      if (count <= 0) _exit(1);
      sent += count;
    }
    _exit(0);
  }
  for (long got = 0; got < total;) {
    ssize_t count = read(fds[1], block, sizeof block);
    if (count <= 0) fail("read");
    got += count;
  }
  double took = now() - start;
  waitpid(child, NULL, 0);
  return kMegabytes / took;
}

static double round_trips(int fds[2]) {
  char byte = 0;
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < kPings; ++i) {
      if (read(fds[1], &byte, 1) != 1 || write(fds[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  double start = now();
  for (int i = 0; i < kPings; ++i) {
    if (write(fds[0], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1) fail("round trip");
  }
  double took = now() - start;
  waitpid(child, NULL, 0);
  return kPings / took;
}

static int listen_on(unsigned port) {
  struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&vm, sizeof vm) != 0 || listen(fd, 1) != 0) fail("listen");
  return fd;
}

static void vsock_pair(int fds[2]) {
  struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = 7000};
  int listener = listen_on(vm.svm_port);
  fds[0] = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (connect(fds[0], (struct sockaddr *)&vm, sizeof vm) != 0) fail("connect");
  fds[1] = accept(listener, NULL, NULL);
  close(listener);
}

static void serve_guest(void) {
  int vsock[2], plain[2];
  vsock_pair(vsock);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, plain) != 0) fail("socketpair");
  int control = accept(listen_on(kControlPort), NULL, NULL);
  FILE *out = fdopen(control, "w");
  // Which of a pair comes first alternates too.
  unsigned round = 0;
  for (char byte; read(control, &byte, 1) == 1;) {
    if (byte == 'c') {
      fprintf(out, "getsockname %.2f\n", repeated(ask_name, vsock[0]));
      fprintf(out, "getsockopt %.2f\n", repeated(ask_option, vsock[0]));
      fprintf(out, "resumed %.2f\n", repeated(ask_name, plain[0]));
      on_sockets(out, AF_VSOCK);
    } else {
      for (unsigned i = 0; i < 2; ++i) {
        int is_vsock = (int)((round + i) % 2);
        int *fds = is_vsock ? vsock : plain;
        const char *name = is_vsock ? "vsock" : "unix";
        fprintf(out, "%s_mb_s %.0f\n%s_round_trips_s %.0f\n", name, throughput(fds), name, round_trips(fds));
      }
      ++round;
    }
    fputc('\n', out);
    fflush(out);
  }
}

static int install_filter(void) {
  static const int calls[] = {SYS_getsockname, SYS_getsockopt, SYS_socket, SYS_bind, SYS_connect};
  enum { kCount = sizeof calls / sizeof *calls };
  struct sock_filter code[2 * kCount + 2] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
  for (int i = 0; i < kCount; ++i) {
    code[2 * i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
    code[2 * i + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  }
  code[2 * kCount + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

// What the two processes of `bare` share.
struct Shared {
  volatile int merely_answer;
  volatile int done;
};

static const char *bare_folder;

static long copy(int writing, pid_t tid, void *own, size_t own_size, void *theirs) {
  struct iovec local = {own, own_size}, remote = {theirs, own_size};
  return writing ? process_vm_writev(tid, &local, 1, &remote, 1, 0) : process_vm_readv(tid, &local, 1, &remote, 1, 0);
}

static int give_back(const struct seccomp_notif *call, void *value, socklen_t size, unsigned at, unsigned size_at) {
  socklen_t room;
  void *place = (void *)(unsigned long)call->data.args[at], *size_place = (void *)(unsigned long)call->data.args[size_at];
  if (copy(0, (pid_t)call->pid, &room, sizeof room, size_place) != sizeof room) return -14;
  struct iovec local[2] = {{value, size < room ? size : room}, {&size, sizeof size}};
  struct iovec remote[2] = {{place, local[0].iov_len}, {size_place, sizeof size}};
  return process_vm_writev((pid_t)call->pid, local, 2, remote, 2, 0) < 0 ? -14 : 0;
}

// The least that gives the caller what it asked for.
static int least(int listener, int handle, const struct seccomp_notif *call) {
  if (call->data.nr == SYS_socket) {
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct seccomp_notif_addfd add = {.id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (unsigned)made};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    close(made);
    return 1;
  }
  int fd = (int)syscall(SYS_pidfd_getfd, handle, (int)call->data.args[0], 0);
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  struct sockaddr_vm vm = {0};
  socklen_t size = sizeof name;
  unsigned long long value = 0;
  int error = 0;
  switch (call->data.nr) {
    case SYS_getsockname:
      getsockname(fd, (struct sockaddr *)&name, &size);
      error = give_back(call, &vm, sizeof vm, 1, 2);
      break;
    case SYS_getsockopt:
      size = sizeof(int);
      getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &size);
      error = give_back(call, &value, sizeof value, 3, 4);
      break;
    case SYS_bind:
    case SYS_connect:
      copy(0, (pid_t)call->pid, &vm, sizeof vm, (void *)(unsigned long)call->data.args[1]);
      snprintf(name.sun_path, sizeof name.sun_path, "%s/%u", bare_folder, vm.svm_port);
      if ((call->data.nr == SYS_bind ? bind : connect)(fd, (struct sockaddr *)&name, sizeof name) != 0) error = -104;
      break;
  }
  close(fd);
  return error;
}

static void supervise(int listener, int handle, const struct Shared *shared) {
  // As the supervisors of enclaves do, where the kernel can: wake the other side on this processor.
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1ul);
  while (!shared->done) {
    struct seccomp_notif call = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
    struct seccomp_notif_resp response = {.id = call.id};
    if (!shared->merely_answer) response.error = least(listener, handle, &call);
    if (response.error <= 0) ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
}

static void be_caller(int channel, struct Shared *shared) {
  int plain = socket(AF_UNIX, SOCK_STREAM, 0);
  int listener = install_filter();
  // The descriptor's number; the parent takes it by pidfd_getfd.
  if (listener < 0 || write(channel, &listener, sizeof listener) != sizeof listener) fail("filter");
  char byte;
  if (read(channel, &byte, 1) != 1) fail("parent");
  for (; read(0, &byte, 1) == 1;) {
    shared->merely_answer = 1;
    printf("answered %.2f\n", repeated(ask_name, plain));
    shared->merely_answer = 0;
    printf("getsockname %.2f\ngetsockopt %.2f\n", repeated(ask_name, plain), repeated(ask_option, plain));
    on_sockets(stdout, AF_UNIX);
    printf("\n");
    fflush(stdout);
  }
  shared->merely_answer = 1;
  shared->done = 1;
  // Wakes the parent, or finds the listener closed.
  getsockname(plain, NULL, NULL);
  _exit(0);
}

static int bare(void) {
  struct Shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int channel[2];
  if (shared == MAP_FAILED || socketpair(AF_UNIX, SOCK_DGRAM, 0, channel) != 0) return 1;
  pid_t child = fork();
  if (child == 0) be_caller(channel[1], shared);
  int number = -1;
  if (read(channel[0], &number, sizeof number) != sizeof number) return 1;
  int handle = (int)syscall(SYS_pidfd_open, child, 0);
  int listener = (int)syscall(SYS_pidfd_getfd, handle, number, 0);
  if (listener < 0 || write(channel[0], "g", 1) != 1) return 1;
  supervise(listener, handle, shared);
  close(listener);
  int status = 1;
  waitpid(child, &status, 0);
  return status != 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "bare") == 0) {
    bare_folder = argv[2];
    return bare();
  }
  serve_guest();
  return 0;
}
