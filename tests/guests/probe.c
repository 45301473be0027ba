// SPDX-License-Identifier: Apache-2.0
// A guest for the sandbox tests: each scenario checks what a program in an enclave may rely on and exits 0, or says on
// stderr which line failed. It knows nothing of the sandbox; `vsock` and `signals` hold on a real vsock too.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "probe: %s:%d: %s (errno %d %s)\n", __func__, __LINE__, #condition, errno, strerror(errno)); \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)
#define FAILS(call, number) CHECK((errno = 0, (call) == -1) && errno == (number))

enum { kParent = 3 };
static const unsigned long kNsmRaw = 0xC0200A00ul;
static const unsigned long kGetCid = 0x7b9ul;

struct nsm_raw {
  uint64_t request, request_length, response, response_length;
};

static uint32_t own_cid(void) {
  int fd = open("/dev/vsock", O_RDONLY);
  uint32_t cid = 0;
  CHECK(fd >= 0);
  CHECK(ioctl(fd, kGetCid, &cid) == 0);
  close(fd);
  return cid;
}

static struct sockaddr_vm address(uint32_t cid, uint32_t port) {
  struct sockaddr_vm vm;
  memset(&vm, 0, sizeof vm);
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = cid;
  vm.svm_port = port;
  return vm;
}

static int connect_to(int fd, uint32_t cid, uint32_t port) {
  struct sockaddr_vm vm = address(cid, port);
  return connect(fd, (struct sockaddr *)&vm, sizeof vm);
}

static int bind_to(int fd, uint32_t cid, uint32_t port) {
  struct sockaddr_vm vm = address(cid, port);
  return bind(fd, (struct sockaddr *)&vm, sizeof vm);
}

static int vsocket(int type) {
  int fd = socket(AF_VSOCK, type, 0);
  CHECK(fd >= 0);
  return fd;
}

static int listener(int type, uint32_t port, int backlog) {
  int fd = vsocket(type);
  CHECK(bind_to(fd, VMADDR_CID_ANY, port) == 0);
  CHECK(listen(fd, backlog) == 0);
  return fd;
}

static struct sockaddr_vm name_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *)) {
  struct sockaddr_vm vm;
  socklen_t size = sizeof vm;
  memset(&vm, 0xaa, sizeof vm);
  CHECK(get(fd, (struct sockaddr *)&vm, &size) == 0);
  CHECK(size == sizeof vm);
  CHECK(vm.svm_family == AF_VSOCK);
  return vm;
}

static int int_option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  CHECK(getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0);
  return value;
}

static void echo(int fd) {
  char buffer[65536];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) {
    for (ssize_t done = 0; done < count;) {
      ssize_t step = write(fd, buffer + done, (size_t)(count - done));
      if (step <= 0) return;
      done += step;
    }
  }
}

// serve: an echo server as an enclave application has it; ends after `count` connections.
static int serve(uint32_t port, int count) {
  int fd = listener(SOCK_STREAM, port, 16);
  for (int i = 0; i < count; ++i) {
    struct sockaddr_vm peer;
    socklen_t size = sizeof peer;
    int connection = accept4(fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
    CHECK(connection >= 0);
    CHECK(peer.svm_family == AF_VSOCK && peer.svm_cid == kParent && size == sizeof peer);
    CHECK(name_of(connection, getsockname).svm_cid == own_cid());
    CHECK(name_of(connection, getsockname).svm_port == port);
    echo(connection);
    close(connection);
  }
  return 0;
}

static int call_parent(uint32_t port) {
  int fd = vsocket(SOCK_STREAM | SOCK_CLOEXEC);
  CHECK(connect_to(fd, kParent, port) == 0);
  CHECK(name_of(fd, getpeername).svm_cid == kParent && name_of(fd, getpeername).svm_port == port);
  CHECK(write(fd, "hello parent", 12) == 12);
  CHECK(shutdown(fd, SHUT_WR) == 0);
  char text[64];
  size_t got = 0;
  ssize_t count;
  while ((count = read(fd, text + got, sizeof text - got)) > 0) got += (size_t)count;
  CHECK(got == 12 && memcmp(text, "hello parent", 12) == 0);
  return 0;
}

static int nsm(void) {
  int fd = open("/dev/nsm", O_RDWR);
  CHECK(fd >= 0);
  struct stat status;
  CHECK(fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && (status.st_mode & 0666) == 0666);
  static uint8_t request[0x1001], response[0x3000];
  memcpy(request, "ping", 4);
  struct nsm_raw raw = {(uintptr_t)request, 4, (uintptr_t)response, sizeof response};
  CHECK(ioctl(fd, kNsmRaw, &raw) == 0);
  CHECK(raw.response_length == 9 && memcmp(response, "pong:ping", 9) == 0);
  // A response longer than the buffer is cut in silence, and its length says so.
  memset(response, 0, sizeof response);
  raw.response_length = 4;
  CHECK(ioctl(fd, kNsmRaw, &raw) == 0);
  CHECK(raw.response_length == 4 && memcmp(response, "pong\0", 5) == 0);
  raw.response_length = sizeof response;
  raw.request_length = 0x1000;
  CHECK(ioctl(fd, kNsmRaw, &raw) == 0 && raw.response_length == 5 + 0x1000);
  raw.request_length = 0x1001;
  FAILS(ioctl(fd, kNsmRaw, &raw), EMSGSIZE);
  FAILS(ioctl(fd, kNsmRaw + 1, &raw), EINVAL);
  FAILS(ioctl(fd, 0x0A01ul, &raw), EINVAL);
  FAILS(ioctl(fd, kNsmRaw, 1ul), EFAULT);
  raw.request_length = 4;
  raw.request = 8;
  FAILS(ioctl(fd, kNsmRaw, &raw), EFAULT);
  raw.request = (uintptr_t)request;
  raw.response = 8;
  FAILS(ioctl(fd, kNsmRaw, &raw), EFAULT);
  // By a duplicate and in a child, as by any descriptor of the device; and not on another device.
  int other = dup(fd);
  raw.response = (uintptr_t)response;
  raw.response_length = sizeof response;
  CHECK(ioctl(other, kNsmRaw, &raw) == 0);
  pid_t child = fork();
  if (child == 0) _exit(ioctl(fd, kNsmRaw, &raw) == 0 ? 0 : 1);
  int ended = -1;
  CHECK(waitpid(child, &ended, 0) == child && ended == 0);
  int null = open("/dev/null", O_RDWR);
  FAILS(ioctl(null, kNsmRaw, &raw), ENOTTY);
  FAILS(ioctl(fd, kGetCid, &raw), EINVAL);
  return 0;
}

static void test_errors(void) {
  int fd = vsocket(SOCK_STREAM);
  FAILS(socket(AF_VSOCK, SOCK_DGRAM, 0), ENODEV);
  FAILS(socket(AF_VSOCK, SOCK_STREAM, 6), EPROTONOSUPPORT);
  FAILS(socket(AF_VSOCK, SOCK_RDM, 0), ESOCKTNOSUPPORT);
  FAILS((int)syscall(SYS_socket, (1l << 32) | AF_VSOCK, SOCK_DGRAM, 0), ENODEV);
  int pair[2];
  FAILS(socketpair(AF_VSOCK, SOCK_STREAM, 0, pair), EOPNOTSUPP);
  FAILS(connect_to(fd, kParent, 9), ECONNRESET);
  FAILS(connect_to(fd, 77777, 9), ENODEV);
  FAILS(connect_to(fd, VMADDR_CID_ANY, 9), ENODEV);
  struct sockaddr_vm vm = address(kParent, 9);
  FAILS(connect(fd, (struct sockaddr *)&vm, 8), EINVAL);
  FAILS(connect(fd, (struct sockaddr *)8, sizeof vm), EFAULT);
  vm.svm_family = AF_INET;
  FAILS(connect(fd, (struct sockaddr *)&vm, sizeof vm), EINVAL);
  FAILS(bind(fd, (struct sockaddr *)&vm, sizeof vm), EINVAL);
  // A connect that failed has bound the socket.
  CHECK(name_of(fd, getsockname).svm_cid == VMADDR_CID_ANY && name_of(fd, getsockname).svm_port >= 1024);
  FAILS(bind_to(fd, VMADDR_CID_ANY, 50), EINVAL);
  close(fd);
  fd = vsocket(SOCK_STREAM);
  FAILS(bind_to(fd, kParent, 50), EADDRNOTAVAIL);
  FAILS(listen(fd, 1), EINVAL);
  FAILS(accept(fd, NULL, NULL), EINVAL);
  FAILS(shutdown(fd, SHUT_RD), ENOTCONN);
  FAILS(shutdown(fd, 7), EINVAL);
  FAILS((int)write(fd, "x", 1), ENOTCONN);
  socklen_t size = sizeof vm;
  FAILS(getpeername(fd, (struct sockaddr *)&vm, &size), ENOTCONN);
  vm = name_of(fd, getsockname);
  CHECK(vm.svm_cid == VMADDR_CID_ANY && vm.svm_port == VMADDR_PORT_ANY);
  FAILS(send(fd, "x", 1, MSG_OOB), EOPNOTSUPP);
  close(fd);
  FAILS(bind_to(fd, VMADDR_CID_ANY, 50), EBADF);
  FAILS(bind_to(0, VMADDR_CID_ANY, 50), ENOTSOCK);
}

static void test_ports(void) {
  int a = vsocket(SOCK_STREAM), b = vsocket(SOCK_STREAM);
  CHECK(bind_to(a, VMADDR_CID_ANY, 700) == 0);
  FAILS(bind_to(a, VMADDR_CID_ANY, 701), EINVAL);
  FAILS(bind_to(b, VMADDR_CID_ANY, 700), EADDRINUSE);
  FAILS(bind_to(b, own_cid(), 700), EADDRINUSE);
  struct sockaddr_vm vm = name_of(a, getsockname);
  CHECK(vm.svm_cid == VMADDR_CID_ANY && vm.svm_port == 700);
  CHECK(bind_to(b, own_cid(), VMADDR_PORT_ANY) == 0);
  vm = name_of(b, getsockname);
  CHECK(vm.svm_cid == own_cid() && vm.svm_port >= 1024 && vm.svm_port != VMADDR_PORT_ANY);
  // Bound and not listening is not there.
  int c = vsocket(SOCK_STREAM);
  FAILS(connect_to(c, own_cid(), 700), ECONNRESET);
  close(a);
  a = vsocket(SOCK_STREAM);
  CHECK(bind_to(a, VMADDR_CID_ANY, 700) == 0);
  pid_t child = fork();
  if (child == 0) {
    CHECK(setresuid(1000, 1000, 1000) == 0);
    int fd = vsocket(SOCK_STREAM);
    FAILS(bind_to(fd, VMADDR_CID_ANY, 80), EACCES);
    CHECK(bind_to(fd, VMADDR_CID_ANY, 8080) == 0);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0 || access("/single-id", F_OK) == 0);
  close(a);
  close(b);
  close(c);
}

static void test_options(void) {
  int fd = vsocket(SOCK_SEQPACKET);
  CHECK(int_option(fd, SO_DOMAIN) == AF_VSOCK);
  CHECK(int_option(fd, SO_TYPE) == SOCK_SEQPACKET);
  CHECK(int_option(fd, SO_PROTOCOL) == 0);
  CHECK(int_option(fd, SO_ERROR) == 0);
  uint64_t value = 0;
  socklen_t size = sizeof value;
  CHECK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size) == 0 && value == 262144 && size == 8);
  value = 1 << 20;
  CHECK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, sizeof value) == 0);
  CHECK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size) == 0 && value == 262144);
  value = 1 << 20;
  CHECK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &value, sizeof value) == 0);
  CHECK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, sizeof value) == 0);
  value = 0;
  CHECK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size) == 0 && value == 1 << 20);
  struct timeval timeout = {0, 0};
  size = sizeof timeout;
  CHECK(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, &size) == 0 && timeout.tv_sec == 2);
  timeout.tv_sec = 5;
  CHECK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout) == 0);
  timeout.tv_usec = 1000000;
  FAILS(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout), ERANGE);
  FAILS(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, 4), EINVAL);
  FAILS(setsockopt(fd, AF_VSOCK, 99, &value, 8), ENOPROTOOPT);
  FAILS(getsockopt(fd, AF_VSOCK, 99, &value, &size), ENOPROTOOPT);
  size = 4;
  FAILS(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size), EINVAL);
  FAILS(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, (void *)8, &size), EINVAL);
  close(fd);
}

static void test_pair(int type, uint32_t port) {
  int fd = listener(type, port, 4);
  int client = vsocket(type);
  CHECK(connect_to(client, own_cid(), port) == 0);
  FAILS(connect_to(client, own_cid(), port), EISCONN);
  struct sockaddr_vm peer;
  socklen_t size = sizeof peer;
  int served = accept(fd, (struct sockaddr *)&peer, &size);
  CHECK(served >= 0 && peer.svm_family == AF_VSOCK && peer.svm_cid == own_cid() && peer.svm_port >= 1024);
  CHECK(name_of(client, getsockname).svm_port == peer.svm_port);
  CHECK(name_of(client, getpeername).svm_port == port);
  CHECK(int_option(served, SO_DOMAIN) == AF_VSOCK && int_option(served, SO_TYPE) == type);
  char text[16];
  CHECK(send(client, "abc", 3, 0) == 3 && send(client, "de", 2, 0) == 2);
  CHECK(recv(served, text, sizeof text, MSG_PEEK) == (type == SOCK_STREAM ? 5 : 3));
  CHECK(recv(served, text, sizeof text, 0) == (type == SOCK_STREAM ? 5 : 3));
  if (type == SOCK_SEQPACKET) CHECK(recv(served, text, sizeof text, 0) == 2);
  CHECK(memcmp(text, type == SOCK_STREAM ? "abcde" : "de", type == SOCK_STREAM ? 5 : 2) == 0);
  struct timeval brief = {0, 20000};
  CHECK(setsockopt(served, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief) == 0);
  FAILS((int)recv(served, text, sizeof text, 0), EAGAIN);
  // Half-close: the other direction stays open.
  CHECK(shutdown(client, SHUT_WR) == 0);
  CHECK(recv(served, text, sizeof text, 0) == 0);
  CHECK(send(served, "z", 1, 0) == 1 && recv(client, text, sizeof text, 0) == 1);
  close(served);
  CHECK(recv(client, text, sizeof text, 0) == 0);
  signal(SIGPIPE, SIG_IGN);
  FAILS((int)send(client, "x", 1, 0), EPIPE);
  close(client);
  // A backlog that is full refuses.
  int waiting[8];
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    waiting[i] = vsocket(type);
    if (connect_to(waiting[i], own_cid(), port) != 0) {
      CHECK(errno == ECONNRESET);
      ++refused;
    }
  }
  CHECK(refused >= 2 && refused <= 4);
  for (int i = 0; i < 8; ++i) close(waiting[i]);
  close(fd);
  client = vsocket(type);
  FAILS(connect_to(client, own_cid(), port), ECONNRESET);
  // It was bound before it was refused, and goes on from that port.
  const uint32_t from = name_of(client, getsockname).svm_port;
  CHECK(from >= 1024 && from != VMADDR_PORT_ANY);
  fd = listener(type, port, 4);
  CHECK(connect_to(client, own_cid(), port) == 0);
  CHECK(name_of(client, getsockname).svm_port == from);
  served = accept(fd, (struct sockaddr *)&peer, &size);
  CHECK(served >= 0 && peer.svm_port == from);
  close(served);
  close(fd);
  close(client);
}

static void test_non_blocking(void) {
  int fd = listener(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 6000, 4);
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
  FAILS(accept(fd, NULL, NULL), EAGAIN);
  int queue = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};
  CHECK(epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == 0);
  // An edge-triggered waiter is there before the connect, as with Go's runtime.
  int client = vsocket(SOCK_STREAM | SOCK_NONBLOCK);
  int client_queue = epoll_create1(0);
  event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.fd = client}};
  CHECK(epoll_ctl(client_queue, EPOLL_CTL_ADD, client, &event) == 0);
  epoll_wait(client_queue, &event, 1, 0);
  FAILS(connect_to(client, own_cid(), 6000), EINPROGRESS);
  CHECK(epoll_wait(client_queue, &event, 1, 2000) == 1 && (event.events & EPOLLOUT) != 0);
  CHECK(int_option(client, SO_ERROR) == 0);
  CHECK(name_of(client, getpeername).svm_port == 6000);
  FAILS(connect_to(client, own_cid(), 6000), EISCONN);
  CHECK(epoll_wait(queue, &event, 1, 2000) == 1 && event.data.fd == fd);
  int served = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
  CHECK(served >= 0 && (fcntl(served, F_GETFL) & O_NONBLOCK) != 0 && fcntl(served, F_GETFD) == 0);
  char byte;
  FAILS((int)read(served, &byte, 1), EAGAIN);
  CHECK(write(client, "q", 1) == 1);
  struct pollfd item = {served, POLLIN, 0};
  CHECK(poll(&item, 1, 2000) == 1 && read(served, &byte, 1) == 1);
  close(client);
  client = vsocket(SOCK_STREAM | SOCK_NONBLOCK);
  FAILS(connect_to(client, own_cid(), 6001), EINPROGRESS);
  item = (struct pollfd){client, POLLOUT, 0};
  CHECK(poll(&item, 1, 2000) == 1);
  CHECK(int_option(client, SO_ERROR) == ECONNRESET);
  CHECK(int_option(client, SO_ERROR) == 0);
  FAILS(accept4(fd, NULL, NULL, 1), EINVAL);
  socklen_t bad = (socklen_t)-1;
  struct sockaddr_vm vm;
  FAILS(accept(fd, (struct sockaddr *)&vm, &bad), EINVAL);
  FAILS(accept(fd, (struct sockaddr *)&vm, (socklen_t *)8), EFAULT);
  close(client);
  close(served);
  close(fd);
}

static void *connect_later(void *port) {
  usleep(50000);
  int fd = vsocket(SOCK_STREAM);
  CHECK(connect_to(fd, own_cid(), *(uint32_t *)port) == 0);
  char byte;
  (void)!read(fd, &byte, 1);
  close(fd);
  return NULL;
}

static void test_blocking_accept(void) {
  uint32_t port = 6100;
  int fd = listener(SOCK_STREAM, port, 4);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, connect_later, &port) == 0);
  int served = accept(fd, NULL, NULL);
  CHECK(served >= 0);
  close(served);
  pthread_join(thread, NULL);
  struct timeval brief = {0, 50000};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief) == 0);
  FAILS(accept(fd, NULL, NULL), EAGAIN);
  struct timeval kept;
  socklen_t size = sizeof kept;
  CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kept, &size) == 0 && kept.tv_sec == 0 && kept.tv_usec >= 50000 && kept.tv_usec < 60000);
  close(fd);
}

// Several processes wait in accept on one socket; each connection goes to one of them, and the port is free when all
// are dead.
static void test_prefork(void) {
  int fd = listener(SOCK_STREAM, 6200, 16);
  pid_t children[4];
  for (int i = 0; i < 4; ++i) {
    children[i] = fork();
    if (children[i] != 0) continue;
    for (;;) {
      int served = accept(fd, NULL, NULL);
      if (served < 0) _exit(1);
      echo(served);
      close(served);
    }
  }
  for (int i = 0; i < 40; ++i) {
    int client = vsocket(SOCK_STREAM);
    CHECK(connect_to(client, own_cid(), 6200) == 0);
    char byte = (char)i;
    CHECK(write(client, &byte, 1) == 1 && read(client, &byte, 1) == 1 && byte == (char)i);
    close(client);
  }
  for (int i = 0; i < 4; ++i) {
    kill(children[i], SIGKILL);
    CHECK(waitpid(children[i], NULL, 0) == children[i]);
  }
  close(fd);
  fd = listener(SOCK_STREAM, 6200, 1);
  close(fd);
}

static int send_fd(int channel, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return (int)sendmsg(channel, &message, 0);
}

static int receive_fd(int channel) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK(recvmsg(channel, &message, 0) == 1);
  int fd = -1;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static void test_descriptors(const char *self) {
  // A socket is what it is by whatever number, in whatever process.
  int fd = vsocket(SOCK_STREAM);
  int copy = dup2(fd, 200);
  close(fd);
  CHECK(int_option(copy, SO_DOMAIN) == AF_VSOCK);
  int channel[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
  CHECK(int_option(channel[0], SO_DOMAIN) == AF_UNIX);
  pid_t child = fork();
  if (child == 0) {
    int received = receive_fd(channel[1]);
    CHECK(bind_to(received, VMADDR_CID_ANY, 6300) == 0 && listen(received, 1) == 0);
    _exit(0);
  }
  CHECK(send_fd(channel[0], copy) == 1);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(name_of(copy, getsockname).svm_port == 6300);
  child = fork();
  if (child == 0) {
    execl(self, self, "inherited", "200", (char *)NULL);
    _exit(99);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  close(copy);
  // Other families are the kernel's business.
  int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  strcpy(local.sun_path, "/tmp/probe.sock");
  CHECK(bind(unix_socket, (struct sockaddr *)&local, sizeof local) == 0 && listen(unix_socket, 1) == 0);
  int other = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(connect(other, (struct sockaddr *)&local, sizeof local) == 0);
  CHECK(accept(unix_socket, NULL, NULL) >= 0);
  int inet = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  CHECK(connect(inet, (struct sockaddr *)&loopback, sizeof loopback) == -1 && (errno == ENETUNREACH || errno == ECONNREFUSED));
}

static void test_many(int count) {
  struct rlimit limit = {65536, 65536};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < (rlim_t)(2 * count + 64)) count = (int)(limit.rlim_cur - 64) / 2;
  }
  int fd = listener(SOCK_STREAM, 6400, 16);
  int *fds = calloc((size_t)(2 * count), sizeof *fds);
  for (int i = 0; i < count; ++i) {
    fds[2 * i] = vsocket(SOCK_STREAM);
    CHECK(connect_to(fds[2 * i], own_cid(), 6400) == 0);
    fds[2 * i + 1] = accept(fd, NULL, NULL);
    CHECK(fds[2 * i + 1] >= 0);
  }
  for (int i = 0; i < count; ++i) CHECK(write(fds[2 * i], &i, sizeof i) == sizeof i);
  for (int i = 0; i < count; ++i) {
    int got = -1;
    CHECK(read(fds[2 * i + 1], &got, sizeof got) == sizeof got && got == i);
  }
  for (int i = 0; i < 2 * count; ++i) close(fds[i]);
  free(fds);
  close(fd);
}

static int vsock(const char *self) {
  CHECK(own_cid() >= 4);
  test_errors();
  test_ports();
  test_options();
  test_pair(SOCK_STREAM, 5900);
  test_pair(SOCK_SEQPACKET, 5901);
  test_non_blocking();
  test_blocking_accept();
  test_prefork();
  test_descriptors(self);
  test_many(300);
  return 0;
}

static volatile sig_atomic_t signals_seen;
static void count_signal(int number) {
  (void)number;
  ++signals_seen;
}

static void handle_with(int flags) {
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
}

static void *storm(void *target) {
  for (int i = 0; i < 3000; ++i) {
    pthread_kill(*(pthread_t *)target, SIGALRM);
    usleep(100);
  }
  return NULL;
}

static int signals(void) {
  int fd = listener(SOCK_STREAM, 6500, 64);
  // Without SA_RESTART a signal ends a blocking accept with EINTR; with it the accept goes on.
  handle_with(0);
  struct itimerval timer = {{0, 0}, {0, 50000}};
  CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
  FAILS(accept(fd, NULL, NULL), EINTR);
  CHECK(signals_seen == 1);
  handle_with(SA_RESTART);
  CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
  pid_t child = fork();
  if (child == 0) {
    usleep(400000);
    int client = vsocket(SOCK_STREAM);
    CHECK(connect_to(client, own_cid(), 6500) == 0);
    char byte;
    CHECK(read(client, &byte, 1) == 0);
    _exit(0);
  }
  int served = accept(fd, NULL, NULL);
  CHECK(served >= 0 && signals_seen == 2);
  close(served);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  // Under a storm of signals no call is done twice and none is lost.
  pthread_t self = pthread_self(), thread;
  CHECK(pthread_create(&thread, NULL, storm, &self) == 0);
  for (int i = 0; i < 300; ++i) {
    int client = vsocket(SOCK_STREAM);
    CHECK(bind_to(client, VMADDR_CID_ANY, 20000 + (uint32_t)i) == 0);
    CHECK(connect_to(client, own_cid(), 6500) == 0);
    struct sockaddr_vm peer;
    socklen_t size = sizeof peer;
    served = accept(fd, (struct sockaddr *)&peer, &size);
    CHECK(served >= 0 && peer.svm_port == 20000 + (uint32_t)i);
    CHECK(write(client, &i, sizeof i) == sizeof i);
    int got = -1;
    CHECK(read(served, &got, sizeof got) == sizeof got && got == i);
    close(client);
    close(served);
  }
  pthread_join(thread, NULL);
  CHECK(signals_seen > 100);
  return 0;
}

// Each request is made once, whatever signals come while it is answered: an NSM's state must not change twice.
static int nsm_storm(int count) {
  handle_with(SA_RESTART);
  int fd = open("/dev/nsm", O_RDWR);
  CHECK(fd >= 0);
  pthread_t self = pthread_self(), thread;
  CHECK(pthread_create(&thread, NULL, storm, &self) == 0);
  for (int i = 0; i < count; ++i) {
    char response[64];
    struct nsm_raw raw = {(uintptr_t)&i, sizeof i, (uintptr_t)response, sizeof response};
    CHECK(ioctl(fd, kNsmRaw, &raw) == 0);
    CHECK(raw.response_length == 5 + sizeof i && memcmp(response + 5, &i, sizeof i) == 0);
  }
  pthread_join(thread, NULL);
  return 0;
}

static int inherited(int fd) {
  return int_option(fd, SO_DOMAIN) == AF_VSOCK && name_of(fd, getsockname).svm_port == 6300 ? 0 : 1;
}

static int count_entries(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;
  CHECK(dir != NULL);
  while (readdir(dir) != NULL) ++count;
  closedir(dir);
  return count - 2;
}

// fidelity: what a Nitro guest's process sees of its machine.
static int fidelity(void) {
  char text[4096];
  CHECK(getuid() == 0 && getgid() == 0 && getpid() > 1 && getppid() == 1 && getsid(0) == getpid());
  CHECK(getcwd(text, sizeof text) != NULL && strcmp(text, "/") == 0);
  CHECK(getenv("GREETING") != NULL && strcmp(getenv("GREETING"), "hello world") == 0 && getenv("HOME") == NULL);
  struct utsname names;
  CHECK(uname(&names) == 0 && strcmp(names.nodename, "(none)") == 0);
  CHECK(count_entries("/proc/self/fd") == 4);  // stdio and the folder's own
  CHECK(readlink("/proc/self/fd/0", text, sizeof text) > 0 && strncmp(text, "/dev/null", 9) == 0);
  CHECK(access("/cmd", F_OK) != 0 && access("/env", F_OK) != 0 && access("/rootfs", F_OK) != 0 && access("/.staging", F_OK) != 0);
  struct stat status;
  CHECK(stat("/proc/1/stat", &status) == 0 && stat("/sys/class", &status) == 0);
  for (const char *const *name = (const char *const[]){"null", "zero", "full", "random", "urandom", "tty", "ptmx", "nsm", "vsock", NULL}; *name;
       ++name) {
    snprintf(text, sizeof text, "/dev/%s", *name);
    CHECK(stat(text, &status) == 0 && S_ISCHR(status.st_mode));
  }
  CHECK(stat("/dev/fd/0", &status) == 0 && stat("/dev/stdout", &status) == 0);
  for (const char *const *name = (const char *const[]){"/tmp", "/run", "/dev/shm", "/var/data", NULL}; *name; ++name) {
    snprintf(text, sizeof text, "%s/written", *name);
    int fd = open(text, O_CREAT | O_WRONLY, 0644);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
  }
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
  CHECK(stat("/bin/tool", &status) == 0 && (status.st_mode & 07777) == 04755 && status.st_mtime == 1492533000);
  CHECK(access("/single-id", F_OK) == 0 || (stat("/var/data", &status) == 0 && status.st_uid == 1000 && status.st_gid == 100));
  CHECK(readlink("/bin/link", text, sizeof text) == 4 && memcmp(text, "tool", 4) == 0);
  int store = open("/etc/ssl/certs/ca-certificates.crt", O_RDONLY);
  ssize_t count = store >= 0 ? read(store, text, sizeof text - 1) : -1;
  CHECK(count > 0);
  text[count] = 0;
  CHECK(strstr(text, "IMAGE ANCHOR") != NULL && strstr(text, "PLATFORM ANCHOR") != NULL);
  // Loopback is down until the guest raises it, and there is nothing else.
  CHECK(count_entries("/sys/class/net") == 1);
  int inet = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  FAILS(connect(inet, (struct sockaddr *)&loopback, sizeof loopback), ENETUNREACH);
  CHECK(system("exit 7") != 0);
  // It has as much memory as it was given, and has just booted.
  FILE *meminfo = fopen("/proc/meminfo", "r");
  unsigned long total = 0;
  CHECK(meminfo != NULL && fscanf(meminfo, "MemTotal: %lu kB", &total) == 1 && total == 256 * 1024);
  fclose(meminfo);
  struct timespec up;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &up) == 0 && (access("/proc/self/ns/time", F_OK) != 0 || up.tv_sec < 600));
  return 0;
}

static int remove_all(const char *path) {
  char command[300];
  const char *name;
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    snprintf(command, sizeof command, "%s/%s", path, name);
    if (unlink(command) != 0) remove_all(command);
  }
  if (folder != NULL) closedir(folder);
  return rmdir(path);
}

static int holds(const char *path, const char *want) {
  char text[256] = {0};
  int fd = open(path, O_RDONLY);
  ssize_t count = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
  if (fd >= 0) close(fd);
  return count >= 0 && strcmp(text, want) == 0;
}

static void put(const char *path, const char *text, int flags) {
  int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  CHECK(close(fd) == 0);
}

// files: what a program may do to the files that its image brought, whatever they lie on. `host` must not be seen.
static int files(const char *host) {
  char text[65536] = {0};
  struct stat before, status;
  const int single = access("/single-id", F_OK) == 0;
  int fd = open("/proc/self/mountinfo", O_RDONLY);
  for (ssize_t count = 1, size = 0; count > 0; size += count) CHECK((count = read(fd, text + size, sizeof text - 1 - (size_t)size)) >= 0);
  close(fd);
  CHECK(strstr(text, host) == NULL && access("/.lower", F_OK) != 0 && access("/.upper", F_OK) != 0);

  // Contents: written in place, appended to, cut, replaced; a descriptor opened before sees what its file has.
  put("/data/a", "B", 0);
  CHECK(holds("/data/a", "Blpha\n"));
  put("/data/a", "more", O_APPEND);
  CHECK(holds("/data/a", "Blpha\nmore"));
  CHECK(truncate("/data/b", 2) == 0 && holds("/data/b", "be"));
  put("/data/c.new", "new", 0);
  CHECK(rename("/data/c.new", "/data/c") == 0 && holds("/data/c", "new"));
  CHECK(rename("/data/a", "/data/A") == 0 && access("/data/a", F_OK) != 0 && holds("/data/A", "Blpha\nmore"));

  // Names: removed ones stay so, folders come back empty, hard links are one file.
  CHECK(unlink("/data/b") == 0 && access("/data/b", F_OK) != 0);
  CHECK(remove_all("/data/inner") == 0 && mkdir("/data/inner", 0700) == 0 && count_entries("/data/inner") == 0);
  put("/data/inner/deep", "again", 0);
  CHECK(link("/data/inner/deep", "/data/second") == 0 && stat("/data/second", &status) == 0 && status.st_nlink == 2);
  CHECK(link("/data/d", "/data/e") == 0);
  put("/data/e", "D", 0);
  CHECK(holds("/data/d", "Delta\n"));
  CHECK(unlink("/bin/link") == 0 && symlink("/probe", "/bin/link") == 0 && access("/bin/link", X_OK) == 0);
  // A folder of the image may have to be copied, as mv does; one made here not.
  CHECK(rename("/data/inner", "/data/outer") == 0 && holds("/data/outer/deep", "again"));
  CHECK(mkdir("/fresh", 0755) == 0 && rename("/fresh", "/data/fresh") == 0);
  CHECK(rename("/data/kept", "/data/moved") == 0 || errno == EXDEV);

  // Attributes.
  CHECK(chmod("/data/d", 02711) == 0 && stat("/data/d", &status) == 0 && (status.st_mode & 07777) == 02711);
  CHECK(single || (chown("/data/d", 12, 34) == 0 && stat("/data/d", &status) == 0 && status.st_uid == 12 && status.st_gid == 34));
  const struct timespec times[2] = {{1000, 0}, {2000, 0}};
  CHECK(utimensat(AT_FDCWD, "/data/d", times, 0) == 0 && stat("/data/d", &status) == 0 && status.st_mtime == 2000);
  CHECK(stat("/data", &before) == 0 && chmod("/data", 0700) == 0 && stat("/data", &status) == 0 && status.st_ino == before.st_ino);

  // Unnamed files, maps, locks, holes.
  fd = open("/data", O_TMPFILE | O_RDWR, 0600);
  if (fd >= 0) close(fd);
  CHECK(fd >= 0 || errno == EOPNOTSUPP);
  fd = open("/probe", O_RDONLY);
  void *map = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  CHECK(map != MAP_FAILED && memcmp(map, "\177ELF", 4) == 0);
  close(fd);
  fd = open("/data/f", O_RDWR);
  char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(shared != MAP_FAILED);
  shared[0] = 'F';
  CHECK(msync(shared, 4096, MS_SYNC) == 0 && holds("/data/f", "Foxtrot\n"));
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  CHECK(fcntl(fd, F_SETLK, &lock) == 0 && ftruncate(fd, 1 << 20) == 0);
  close(fd);

  // The root is as large as the enclave's memory at most, and full is full, not the end.
  struct statvfs space;
  CHECK(statvfs("/", &space) == 0 && space.f_blocks * space.f_frsize <= 256ul << 20);
  fd = open("/data/full", O_CREAT | O_WRONLY, 0600);
  static char block[1 << 20];
  ssize_t count = 0;
  // A control group may be the tighter bound and would end this process: half of it is enough to see that it grows.
  for (int i = 0; i < 100 && (count = write(fd, block, sizeof block)) == (ssize_t)sizeof block; ++i) continue;
  CHECK(count == (ssize_t)sizeof block || errno == ENOSPC);
  close(fd);
  CHECK(unlink("/data/full") == 0);
  return 0;
}

// As much memory as there is: the guest's own limit answers, by ENOMEM or by ending this process.
static int memory_bomb(void) {
  for (long megabytes = 0; megabytes < 65536; ++megabytes) {
    char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
      CHECK(errno == ENOMEM);
      return 42;
    }
    memset(block, 1, 1 << 20);
  }
  return 0;
}

struct flood {
  int fd;
  int count;
  volatile int stop;
  struct nsm_raw raw;
  char response[64];
};

static void *flood_nsm(void *argument) {
  struct flood *flood = argument;
  for (int i = 0; i < flood->count; ++i) {
    char response[64];
    struct nsm_raw raw = {(uintptr_t)&i, sizeof i, (uintptr_t)response, sizeof response};
    CHECK(ioctl(flood->fd, kNsmRaw, &raw) == 0 && raw.response_length == 5 + sizeof i && memcmp(response + 5, &i, sizeof i) == 0);
  }
  return NULL;
}

// More requests than anybody answers in a second, from four threads; each gets its own answer.
static int nsm_flood(int count) {
  struct flood floods[4];
  pthread_t threads[4];
  puts("flooding");
  for (int i = 0; i < 4; ++i) {
    floods[i] = (struct flood){.fd = open("/dev/nsm", O_RDWR), .count = count / 4};
    CHECK(floods[i].fd >= 0 && pthread_create(&threads[i], NULL, flood_nsm, &floods[i]) == 0);
  }
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  return 0;
}

static void *swap_pointers(void *argument) {
  struct flood *flood = argument;
  while (!flood->stop) {
    flood->raw.request = 8;
    flood->raw.request_length = 1 << 30;
    flood->raw.response = (uintptr_t)flood->response;
    flood->raw.response_length = 1 << 30;
    flood->raw.request = (uintptr_t)flood->response;
    flood->raw.request_length = 16;
    flood->raw.response = 8;
    flood->raw.response_length = 16;
  }
  return NULL;
}

// An ioctl's pointers that change under it: an answer or an error, never more bytes than one of the two lengths says.
static int nsm_race(void) {
  struct flood *flood = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  flood->fd = open("/dev/nsm", O_RDWR);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, swap_pointers, flood) == 0);
  for (int i = 0; i < 5000; ++i) {
    int result = ioctl(flood->fd, kNsmRaw, &flood->raw);
    CHECK(result == 0 || errno == EFAULT || errno == EMSGSIZE);
  }
  flood->stop = 1;
  pthread_join(thread, NULL);
  return 0;
}

// Descriptors 301 and 302 are put in the place of 300 in turn.
static void *swap_given(void *stop) {
  while (*(volatile int *)stop == 0) {
    dup2(301, 300);
    dup2(302, 300);
  }
  return NULL;
}

// forge has the kernel give one of the emulated sockets the name by which the supervisor would tell the parent's address: a bind
// resumed on another socket, in whose place it comes. Nobody may be told that address. Returns how often it got the name.
static int forge(void) {
  const int listening = listener(SOCK_STREAM, 7654, 8);
  int stop = 0, named = 0;
  CHECK(mkdir("/tmp/peer", 0700) == 0);
  for (int fd = 300; fd <= 302; ++fd) dup2(0, fd);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, swap_given, &stop) == 0);
  for (int i = 0; i < 3000 && named < 5; ++i) {
    const int ours = vsocket(SOCK_STREAM), other = socket(AF_UNIX, SOCK_STREAM, 0);
    dup2(ours, 301);
    dup2(other, 302);
    // Until then it may be one of the round before.
    struct stat given = {0}, our = {0}, others = {0};
    CHECK(fstat(ours, &our) == 0 && fstat(other, &others) == 0);
    while (given.st_ino != our.st_ino && given.st_ino != others.st_ino) CHECK(fstat(300, &given) == 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/tmp/peer/3.5000"};
    const int bound = bind(300, (struct sockaddr *)&name, sizeof name);
    struct sockaddr_un got = {0};
    socklen_t size = sizeof got;
    CHECK(getsockname(other, (struct sockaddr *)&got, &size) == 0);
    if (bound == 0 && size <= sizeof(sa_family_t)) {
      ++named;
      struct sockaddr_vm to = address(VMADDR_CID_LOCAL, 7654);
      FAILS(connect(ours, (struct sockaddr *)&to, sizeof to), EADDRNOTAVAIL);
    }
    unlink(name.sun_path);
    close(ours);
    close(other);
  }
  stop = 1;
  pthread_join(thread, NULL);
  for (int fd = 300; fd <= 302; ++fd) close(fd);
  close(listening);
  return named;
}

static void *swap_descriptors(void *stop) {
  int ours = vsocket(SOCK_STREAM);
  int other = socket(AF_UNIX, SOCK_STREAM, 0);
  while (*(volatile int *)stop == 0) {
    dup2(ours, 300);
    dup2(other, 300);
  }
  return NULL;
}

struct race {
  struct sockaddr_vm vm;
  volatile int stop;
};
static void *swap_address(void *argument) {
  struct race *race = argument;
  while (!race->stop) {
    race->vm.svm_cid = kParent;
    race->vm.svm_cid = 4000000;
    race->vm.svm_family = AF_UNIX;
    race->vm.svm_family = AF_VSOCK;
  }
  return NULL;
}

// escape: what a hostile guest tries first. Each attempt must fail, and the machine must go on.
static int escape(pid_t victim) {
  for (int fd = 3; fd < 256; ++fd) FAILS(fcntl(fd, F_GETFD), EBADF);
  FAILS(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
  FAILS(umount2("/proc", MNT_DETACH), EPERM);
  FAILS((int)syscall(SYS_pivot_root, ".", "."), EPERM);
  FAILS(unshare(CLONE_NEWUSER), EPERM);
  FAILS(unshare(CLONE_NEWNET), EPERM);
  FAILS((int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
  char clone3_arguments[128] = {0};
  FAILS((int)syscall(SYS_clone3, clone3_arguments, sizeof clone3_arguments), ENOSYS);
  FAILS(setns(0, 0), EPERM);
  FAILS((int)ptrace(PTRACE_ATTACH, 1, 0, 0), EPERM);
  FAILS((int)ptrace(PTRACE_ATTACH, victim, 0, 0), EPERM);
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
  FAILS((int)process_vm_readv(victim, &here, 1, &there, 1, 0), EPERM);
  FAILS(kill(victim, 0), ESRCH);
  CHECK(kill(1, SIGKILL) == 0);  // init of a pid namespace ignores it
  FAILS((int)syscall(SYS_pidfd_getfd, 0, 0, 0), EPERM);
  FAILS(open("/proc/1/mem", O_RDWR), EACCES);
  FAILS(open("/proc/1/root/etc", O_RDONLY), EACCES);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d", victim);
  CHECK(access(path, F_OK) != 0);
  FAILS((int)syscall(SYS_keyctl, 0, -3, 0, 0, 0), EPERM);
  FAILS((int)syscall(SYS_add_key, "user", "x", "y", 1, -3), EPERM);
  FAILS((int)syscall(SYS_bpf, 0, 0, 0), EPERM);
  FAILS((int)syscall(SYS_userfaultfd, 0), EPERM);
  FAILS((int)syscall(SYS_perf_event_open, 0, 0, -1, -1, 0), EPERM);
  FAILS((int)syscall(SYS_io_uring_setup, 1, 0), ENOSYS);
  FAILS((int)syscall(SYS_finit_module, 0, "", 0), EPERM);
  FAILS((int)syscall(SYS_kexec_load, 0, 0, 0, 0), EPERM);
  FAILS((int)syscall(SYS_open_by_handle_at, 0, 0, 0), EPERM);
  FAILS((int)syscall(4095), ENOSYS);
#ifdef __x86_64__
  FAILS((int)syscall(0x40000000 | SYS_getpid), ENOSYS);
  // A kernel without the 32-bit entry answers it with SIGSEGV, one with it asks the filter.
  pid_t child = fork();
  if (child == 0) {
    long entered = 20;  // getpid of the 32-bit table
    __asm__ volatile("int $0x80" : "+a"(entered) : : "memory", "r8", "r9", "r10", "r11");
    _exit((int)entered == -ENOSYS ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
#endif
  FAILS(socket(AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT);
  FAILS(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
  FAILS(socket(AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT);
  FAILS(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), EPROTONOSUPPORT);
  CHECK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0);
  CHECK(mknod("/tmp/disk", S_IFBLK | 0600, (dev_t)0xfe00) == -1 && (errno == EPERM || errno == EACCES));
  CHECK(mknod("/tmp/memory", S_IFCHR | 0600, (dev_t)0x0101) == -1 && (errno == EPERM || errno == EACCES));
  FAILS(sethostname("x", 1), EPERM);
  struct timeval now = {0, 0};
  FAILS(settimeofday(&now, NULL), EPERM);
  CHECK(open("/proc/sysrq-trigger", O_WRONLY) < 0 || access("/proc/sysrq-trigger", F_OK) == 0);
  CHECK(open("/proc/sys/kernel/core_pattern", O_WRONLY) < 0);
  CHECK(open("/sys/kernel/uevent_helper", O_WRONLY) < 0);

  int pair[2], on = 1;
  socklen_t size = sizeof on;
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  FAILS(setsockopt(pair[0], SOL_SOCKET, 76 /* SO_PASSPIDFD */, &on, sizeof on), ENOPROTOOPT);
  FAILS(getsockopt(pair[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &on, &size), ENOPROTOOPT);

  // The supervisor decides on copies: an address that changes under it reaches nothing but the parent or nobody.
  struct race race = {.vm = address(kParent, 9), .stop = 0};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, swap_address, &race) == 0);
  for (int i = 0; i < 2000; ++i) {
    int fd = vsocket(SOCK_STREAM);
    CHECK(connect(fd, (struct sockaddr *)&race.vm, sizeof race.vm) == -1);
    CHECK(errno == ECONNRESET || errno == ENODEV || errno == EINVAL);
    close(fd);
  }
  race.stop = 1;
  pthread_join(thread, NULL);
  // A descriptor that changes between ours and the kernel's: no abstract name of the host is in reach of either.
  int stop = 0;
  CHECK(pthread_create(&thread, NULL, swap_descriptors, &stop) == 0);
  struct sockaddr_un abstract = {.sun_family = AF_UNIX};
  const int length = snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "casemate-escape-%d", victim);
  for (int i = 0; i < 5000; ++i) CHECK(connect(300, (struct sockaddr *)&abstract, (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)length)) == -1);
  stop = 1;
  pthread_join(thread, NULL);
  printf("forged %d\n", forge());
  own_cid();
  return 0;
}

static int bombs(void) {
  // Processes without end, then descriptors, then the disk: each runs into a limit, and the guest goes on.
  int made = 0;
  for (; made < 100000; ++made) {
    pid_t child = fork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    if (child < 0) break;
  }
  CHECK(made < 100000 && errno == EAGAIN);
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) continue;
  int sockets = 0;
  while (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0) ++sockets;
  CHECK(errno == EMFILE && sockets > 1000 - 16);
  for (int fd = 3; fd < 3 + sockets; ++fd) close(fd);
  int fd = open("/var/data/full", O_CREAT | O_WRONLY, 0644);
  static char block[1 << 20];
  memset(block, 1, sizeof block);
  long megabytes = 0;
  while (write(fd, block, sizeof block) == sizeof block && megabytes < 4096) ++megabytes;
  CHECK(megabytes < 4096);
  FAILS((int)write(fd, block, sizeof block), ENOSPC);
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  const char *scenario = argc > 1 ? argv[1] : "";
  long number = argc > 2 ? atol(argv[2]) : 0;
  if (strcmp(scenario, "hello") == 0) return puts("hello from the guest") < 0;
  if (strcmp(scenario, "exit") == 0) return (int)number;
  if (strcmp(scenario, "abort") == 0) abort();
  if (strcmp(scenario, "sleep") == 0) {
    puts("asleep");
    for (;;) pause();
  }
  if (strcmp(scenario, "family") == 0) {
    for (int i = 0; i < 5; ++i) {
      if (fork() == 0) {
        setsid();
        for (;;) pause();
      }
    }
    puts("asleep");
    for (;;) pause();
  }
  if (strcmp(scenario, "serve") == 0) return serve((uint32_t)number, atoi(argv[3]));
  if (strcmp(scenario, "call") == 0) return call_parent((uint32_t)number);
  if (strcmp(scenario, "nsm") == 0) return nsm();
  if (strcmp(scenario, "vsock") == 0) return vsock(argv[0]);
  if (strcmp(scenario, "many") == 0) return test_many((int)number), 0;
  if (strcmp(scenario, "signals") == 0) return signals();
  if (strcmp(scenario, "nsm-storm") == 0) return nsm_storm((int)number);
  if (strcmp(scenario, "inherited") == 0) return inherited((int)number);
  if (strcmp(scenario, "fidelity") == 0) return fidelity();
  if (strcmp(scenario, "files") == 0) return files(argv[2]);
  if (strcmp(scenario, "escape") == 0) return escape((pid_t)number);
  if (strcmp(scenario, "bombs") == 0) return bombs();
  if (strcmp(scenario, "memory-bomb") == 0) return memory_bomb();
  if (strcmp(scenario, "nsm-flood") == 0) return nsm_flood((int)number);
  if (strcmp(scenario, "nsm-race") == 0) return nsm_race();
  fprintf(stderr, "probe: no scenario %s\n", scenario);
  return 2;
}
