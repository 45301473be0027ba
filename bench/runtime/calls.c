// SPDX-License-Identifier: Apache-2.0
// In a guest: what an intercepted call costs, and what an established vsock connection carries beside a plain Unix socket
// of the same guest, measured in turn. Prints `name value` lines.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
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
