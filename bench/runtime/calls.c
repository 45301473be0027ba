// SPDX-License-Identifier: Apache-2.0
// In a guest: what an intercepted call costs, and what an established vsock connection carries beside a plain Unix socket
// of the same guest, measured in turn. With the argument `bare`, on the host: what a seccomp notification costs whose
// supervisor does nothing but answer. Prints `name value` lines.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// linux/vm_sockets.h needs sys/socket.h before it.
#include <linux/vm_sockets.h>

enum { kRounds = 7, kCalls = 2000, kPings = 4000, kMegabytes = 256 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }
static double median(double *values) {
  qsort(values, kRounds, sizeof *values, compare);
  return values[kRounds / 2];
}

static void vsock_pair(int fds[2]) {
  struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 7000};
  int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  fds[0] = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&vm, sizeof vm) != 0 || listen(listener, 1) != 0) exit(1);
  vm.svm_cid = VMADDR_CID_LOCAL;
  if (connect(fds[0], (struct sockaddr *)&vm, sizeof vm) != 0) exit(1);
  fds[1] = accept(listener, NULL, NULL);
  close(listener);
}

static double calls(int fd) {
  struct sockaddr_storage name;
  double start = now();
  for (int i = 0; i < kCalls; ++i) {
    socklen_t size = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &size);
  }
  return (now() - start) / kCalls * 1e6;
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
    if (count <= 0) exit(1);
    got += count;
  }
  waitpid(child, NULL, 0);
  return kMegabytes / (now() - start);
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
    if (write(fds[0], &byte, 1) != 1 || read(fds[0], &byte, 1) != 1) exit(1);
  }
  double took = now() - start;
  waitpid(child, NULL, 0);
  return kPings / took;
}

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

static int install_filter(void) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockname, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void answer(int listener, volatile const int *done) {
  // As the supervisors of enclaves do, where the kernel can: wake the other side on this processor.
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1ul);
  struct pollfd item = {.fd = listener, .events = POLLIN};
  while (!*done) {
    struct seccomp_notif call = {0};
    struct seccomp_notif_resp response = {0};
    if (poll(&item, 1, 100) != 1 || (item.revents & POLLIN) == 0) continue;
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
    response.id = call.id;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
}

static int bare(void) {
  volatile int *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int channel[2];
  if (done == MAP_FAILED || socketpair(AF_UNIX, SOCK_DGRAM, 0, channel) != 0) return 1;
  pid_t child = fork();
  if (child == 0) {
    double rounds[kRounds];
    int listener = install_filter();
    if (listener < 0) _exit(1);
    // The descriptor's number; the parent takes it by pidfd_getfd.
    if (write(channel[1], &listener, sizeof listener) != sizeof listener) _exit(1);
    char byte;
    if (read(channel[1], &byte, 1) != 1) _exit(1);
    for (int i = 0; i < kRounds; ++i) rounds[i] = calls(0);
    printf("bare_us %.2f\n", median(rounds));
    *done = 1;
    exit(0);
  }
  int number = -1;
  if (read(channel[0], &number, sizeof number) != sizeof number) return 1;
  int handle = (int)syscall(SYS_pidfd_open, child, 0);
  int listener = (int)syscall(SYS_pidfd_getfd, handle, number, 0);
  if (listener < 0 || write(channel[0], "g", 1) != 1) return 1;
  answer(listener, done);
  int status = 1;
  waitpid(child, &status, 0);
  return status != 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 1 && strcmp(argv[1], "bare") == 0) return bare();
  int vsock[2], plain[2];
  vsock_pair(vsock);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, plain) != 0) return 1;
  double intercepted[kRounds], resumed[kRounds], vsock_rate[kRounds], plain_rate[kRounds], vsock_trips[kRounds], plain_trips[kRounds];
  for (int i = 0; i < kRounds; ++i) {
    intercepted[i] = calls(vsock[0]);
    resumed[i] = calls(plain[0]);
    vsock_rate[i] = throughput(vsock);
    plain_rate[i] = throughput(plain);
    vsock_trips[i] = round_trips(vsock);
    plain_trips[i] = round_trips(plain);
  }
  printf("intercepted_us %.2f\nresumed_us %.2f\n", median(intercepted), median(resumed));
  printf("vsock_mb_s %.0f\nunix_mb_s %.0f\n", median(vsock_rate), median(plain_rate));
  printf("vsock_round_trips_s %.0f\nunix_round_trips_s %.0f\n", median(vsock_trips), median(plain_trips));
  return 0;
}
