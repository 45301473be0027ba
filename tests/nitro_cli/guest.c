// SPDX-License-Identifier: Apache-2.0
// An enclave application that knows nothing of the local platform: it prints its arguments and serves vsock port 5000. A
// connection sends one byte: 'a' is answered with an attestation response of /dev/nsm, 'q' ends the application with 7.
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct nsm_iovec {
  uint64_t addr;
  uint64_t len;
};
struct nsm_raw {
  struct nsm_iovec request;
  struct nsm_iovec response;
};
#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)

static int attest(int peer) {
  // {"Attestation": {"user_data": null, "nonce": null, "public_key": null}}
  static const unsigned char request[] =
      "\xa1\x6b" "Attestation" "\xa3\x69" "user_data" "\xf6\x65" "nonce" "\xf6\x6a" "public_key" "\xf6";
  static unsigned char response[0x3000];
  int nsm = open("/dev/nsm", O_RDWR | O_CLOEXEC);
  if (nsm < 0) return -1;
  struct nsm_raw raw = {{(uint64_t)(uintptr_t)request, sizeof request - 1}, {(uint64_t)(uintptr_t)response, sizeof response}};
  int result = ioctl(nsm, NSM_IOCTL_RAW, &raw);
  close(nsm);
  if (result != 0) return -1;
  return write(peer, response, raw.response.len) == (ssize_t)raw.response.len ? 0 : -1;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 0; i < argc; ++i) printf("argument %d: %s\n", i, argv[i]);
  if (argc > 1 && strcmp(argv[1], "end") == 0) return 7;
  const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = 5000, .svm_cid = VMADDR_CID_ANY};
  int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (const struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 8) != 0) {
    perror("vsock port 5000");
    return 1;
  }
  printf("listening\n");
  for (;;) {
    int peer = accept(listener, NULL, NULL);
    if (peer < 0) {
      perror("accept");
      return 1;
    }
    char command = 0;
    if (read(peer, &command, 1) == 1) {
      if (command == 'q') return 7;
      if (command == 'a' && attest(peer) != 0) printf("attestation: %s\n", strerror(errno));
    }
    close(peer);
  }
}
