// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK call by call: one line a call, `name: answer`. It knows nothing of where it runs: in the sandbox it is an
// enclave's application; as /init of a virtual machine it loads the kernel's vsock modules first, and the kernel's
// answers are what the sandbox's are compared with. Only loopback (CID 1) is connected to, since that is what both have.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
// linux/vm_sockets.h needs sys/socket.h before it.
#include <linux/vm_sockets.h>

enum { kLocal = 1, kPatience = 20000 };

static const char *errno_text(void) { return strerrorname_np(errno); }

// say prints what a call gave: its value, or the error's name. Descriptors are only "ok".
#define SAY(name, call)                                            \
  do {                                                             \
    errno = 0;                                                     \
    long value_ = (long)(call);                                    \
    if (value_ < 0) printf("%s: %s\n", name, errno_text());        \
    else printf("%s: %ld\n", name, value_);                        \
  } while (0)
#define SAY_FD(name, fd, call)                                     \
  do {                                                             \
    errno = 0;                                                     \
    fd = (call);                                                   \
    printf("%s: %s\n", name, fd < 0 ? errno_text() : "ok");        \
  } while (0)

static struct sockaddr_vm address(unsigned cid, unsigned port) {
  struct sockaddr_vm vm;
  memset(&vm, 0, sizeof vm);
  vm.svm_family = AF_VSOCK;
  vm.svm_cid = cid;
  vm.svm_port = port;
  return vm;
}

static int bind_to(int fd, unsigned cid, unsigned port) {
  struct sockaddr_vm vm = address(cid, port);
  return bind(fd, (struct sockaddr *)&vm, sizeof vm);
}

static int connect_to(int fd, unsigned cid, unsigned port) {
  struct sockaddr_vm vm = address(cid, port);
  return connect(fd, (struct sockaddr *)&vm, sizeof vm);
}

static int vsocket(int type) { return socket(AF_VSOCK, type, 0); }

static int listener(int type, unsigned port, int backlog) {
  int fd = vsocket(type);
  if (bind_to(fd, VMADDR_CID_ANY, port) != 0 || listen(fd, backlog) != 0) printf("listener %u: %s\n", port, errno_text());
  return fd;
}

// Ephemeral ports and CIDs differ from run to run.
static const char *cid_text(unsigned cid) {
  if (cid == VMADDR_CID_ANY) return "any";
  return cid == kLocal ? "local" : "other";
}
static const char *port_text(unsigned port) {
  static char text[16];
  if (port == VMADDR_PORT_ANY) return "any";
  if (port < 5000 || port > 6000) return "ephemeral";
  snprintf(text, sizeof text, "%u", port);
  return text;
}

static void say_name(const char *name, int fd, int (*get)(int, struct sockaddr *, socklen_t *)) {
  struct sockaddr_vm vm;
  socklen_t size = sizeof vm;
  memset(&vm, 0xaa, sizeof vm);
  errno = 0;
  if (get(fd, (struct sockaddr *)&vm, &size) != 0) printf("%s: %s\n", name, errno_text());
  else printf("%s: family %d size %u cid %s port %s\n", name, vm.svm_family, size, cid_text(vm.svm_cid), port_text(vm.svm_port));
}

static void say_int_option(const char *name, int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  errno = 0;
  if (getsockopt(fd, level, option, &value, &size) != 0) printf("%s: %s\n", name, errno_text());
  else printf("%s: %d size %u\n", name, value, size);
}

// What a failed call reports there may be told by name.
static void say_socket_error(const char *name, int fd) {
  int value = -1;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) != 0) printf("%s: %s\n", name, errno_text());
  else printf("%s: %s\n", name, value == 0 ? "none" : strerrorname_np(value));
}

static void say_poll(const char *name, int fd, int timeout) {
  struct pollfd item = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
  poll(&item, 1, timeout);
  printf("%s:%s%s%s%s%s%s\n", name, item.revents & POLLIN ? " in" : "", item.revents & POLLOUT ? " out" : "",
         item.revents & POLLERR ? " err" : "", item.revents & POLLHUP ? " hup" : "", item.revents & POLLRDHUP ? " rdhup" : "",
         item.revents == 0 ? " nothing" : "");
}

static void wait_for(int fd, short events) {
  struct pollfd item = {fd, events, 0};
  poll(&item, 1, kPatience);
}

static void pair(int type, unsigned port, int fds[2]) {
  int server = listener(type, port, 4);
  fds[0] = vsocket(type);
  if (connect_to(fds[0], kLocal, port) != 0) printf("pair %u: connect: %s\n", port, errno_text());
  fds[1] = accept(server, NULL, NULL);
  if (fds[1] < 0) printf("pair %u: accept: %s\n", port, errno_text());
  close(server);
}

static void close_pair(int fds[2]) {
  close(fds[0]);
  close(fds[1]);
}

static void sockets(void) {
  int fd;
  SAY_FD("socket stream", fd, socket(AF_VSOCK, SOCK_STREAM, 0));
  say_int_option("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
  say_int_option("SO_TYPE stream", fd, SOL_SOCKET, SO_TYPE);
  say_int_option("SO_PROTOCOL", fd, SOL_SOCKET, SO_PROTOCOL);
  say_int_option("SO_ACCEPTCONN fresh", fd, SOL_SOCKET, SO_ACCEPTCONN);
  say_socket_error("SO_ERROR fresh", fd);
  say_name("getsockname fresh", fd, getsockname);
  say_name("getpeername fresh", fd, getpeername);
  say_poll("poll fresh", fd, 0);
  SAY("recv fresh", recv(fd, &fd, 1, MSG_DONTWAIT));
  SAY("send fresh", send(fd, &fd, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
  SAY("shutdown fresh", shutdown(fd, SHUT_RDWR));
  SAY("listen unbound", listen(fd, 1));
  SAY("accept unbound", accept(fd, NULL, NULL));
  SAY("FIONREAD fresh", ioctl(fd, FIONREAD, &fd) == 0 ? 0 : -1);
  close(fd);
  SAY_FD("socket seqpacket", fd, socket(AF_VSOCK, SOCK_SEQPACKET, 0));
  say_int_option("SO_TYPE seqpacket", fd, SOL_SOCKET, SO_TYPE);
  close(fd);
  SAY_FD("socket protocol AF_VSOCK", fd, socket(AF_VSOCK, SOCK_STREAM, AF_VSOCK));
  close(fd);
  SAY("socket protocol 1", socket(AF_VSOCK, SOCK_STREAM, 1));
  SAY("socket raw", socket(AF_VSOCK, SOCK_RAW, 0));
  SAY("socket rdm", socket(AF_VSOCK, SOCK_RDM, 0));
  SAY("socket type 0", socket(AF_VSOCK, 0, 0));
  SAY("socket unknown flag", socket(AF_VSOCK, SOCK_STREAM | 0x100, 0));
  SAY_FD("socket datagram", fd, socket(AF_VSOCK, SOCK_DGRAM, 0));
  if (fd >= 0) close(fd);
  SAY_FD("socket nonblock cloexec", fd, socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  SAY("F_GETFD", fcntl(fd, F_GETFD));
  SAY("F_GETFL nonblock", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  close(fd);
  int fds[2];
  SAY("socketpair", socketpair(AF_VSOCK, SOCK_STREAM, 0, fds));
}

static void binding(void) {
  int fd = vsocket(SOCK_STREAM), other = vsocket(SOCK_STREAM), third = vsocket(SOCK_SEQPACKET);
  struct sockaddr_vm vm = address(VMADDR_CID_ANY, 5100);
  SAY("bind short", bind(fd, (struct sockaddr *)&vm, sizeof vm - 1));
  SAY("bind bad pointer", bind(fd, (struct sockaddr *)8, sizeof vm));
  SAY("bind huge", bind(fd, (struct sockaddr *)&vm, 1 << 20));
  vm.svm_family = AF_INET;
  SAY("bind family", bind(fd, (struct sockaddr *)&vm, sizeof vm));
  SAY("bind foreign cid", bind_to(fd, 12345, 5100));
  SAY("bind any", bind_to(fd, VMADDR_CID_ANY, 5100));
  say_name("getsockname bound", fd, getsockname);
  SAY("bind again", bind_to(fd, VMADDR_CID_ANY, 5101));
  SAY("bind taken", bind_to(other, VMADDR_CID_ANY, 5100));
  SAY("bind taken seqpacket", bind_to(third, VMADDR_CID_ANY, 5100));
  SAY("bind port any", bind_to(other, VMADDR_CID_ANY, VMADDR_PORT_ANY));
  say_name("getsockname port any", other, getsockname);
  SAY("bind local", bind_to(third, kLocal, 5102));
  close(other);
  close(fd);
  fd = vsocket(SOCK_STREAM);
  SAY("bind freed", bind_to(fd, VMADDR_CID_ANY, 5100));
  SAY("listen", listen(fd, 1));
  SAY("listen again", listen(fd, 5));
  say_int_option("SO_ACCEPTCONN listening", fd, SOL_SOCKET, SO_ACCEPTCONN);
  say_poll("poll listening", fd, 0);
  SAY("connect listening", connect_to(fd, kLocal, 5199));
  SAY("recv listening", recv(fd, &vm, 1, MSG_DONTWAIT));
  SAY("send listening", send(fd, &vm, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
  SAY("shutdown listening", shutdown(fd, SHUT_RDWR));
  fcntl(fd, F_SETFL, O_NONBLOCK);
  SAY("accept nonblock empty", accept(fd, NULL, NULL));
  SAY("accept4 bad flags", accept4(fd, NULL, NULL, 0x1));
  close(fd);
  close(third);
  fd = vsocket(SOCK_STREAM);
  SAY("bind privileged as root", bind_to(fd, VMADDR_CID_ANY, 900));
  close(fd);
}

static void connecting(void) {
  int server = listener(SOCK_STREAM, 5200, 4), fd = vsocket(SOCK_STREAM);
  struct sockaddr_vm vm = address(kLocal, 5200);
  SAY("connect short", connect(fd, (struct sockaddr *)&vm, 4));
  SAY("connect bad pointer", connect(fd, (struct sockaddr *)8, sizeof vm));
  vm.svm_family = AF_UNIX;
  SAY("connect family", connect(fd, (struct sockaddr *)&vm, sizeof vm));
  SAY("connect nobody", connect_to(fd, kLocal, 5999));
  say_socket_error("SO_ERROR after refusal", fd);
  close(fd);
  fd = vsocket(SOCK_STREAM);
  SAY("connect hypervisor cid", connect_to(fd, 0, 5200));
  close(fd);
  fd = vsocket(SOCK_STREAM);
  SAY("connect absent cid", connect_to(fd, 123456, 5200));
  close(fd);
  fd = vsocket(SOCK_SEQPACKET);
  SAY("connect other type", connect_to(fd, kLocal, 5200));
  close(fd);
  fd = vsocket(SOCK_STREAM);
  SAY("connect", connect_to(fd, kLocal, 5200));
  SAY("connect again", connect_to(fd, kLocal, 5200));
  SAY("bind connected", bind_to(fd, VMADDR_CID_ANY, 5201));
  SAY("listen connected", listen(fd, 1));
  SAY("accept connected", accept(fd, NULL, NULL));
  say_name("getsockname connected", fd, getsockname);
  say_name("getpeername connected", fd, getpeername);
  struct sockaddr_vm peer;
  socklen_t size = sizeof peer;
  int served;
  SAY_FD("accept", served, accept(server, (struct sockaddr *)&peer, &size));
  printf("accept address: family %d size %u cid %s port %s\n", peer.svm_family, size, cid_text(peer.svm_cid), port_text(peer.svm_port));
  say_name("getsockname accepted", served, getsockname);
  say_name("getpeername accepted", served, getpeername);
  say_poll("poll connected", fd, 0);
  close(served);
  close(fd);
  fd = vsocket(SOCK_STREAM);
  SAY("bind before connect", bind_to(fd, VMADDR_CID_ANY, 5202));
  SAY("connect bound", connect_to(fd, kLocal, 5200));
  size = 3;
  served = accept(server, (struct sockaddr *)&peer, &size);
  printf("accept short buffer: %s size %u\n", served < 0 ? errno_text() : "ok", size);
  say_name("getpeername of bound", served, getpeername);
  close(served);
  close(fd);
  fd = vsocket(SOCK_STREAM);
  connect_to(fd, kLocal, 5200);
  SAY("accept bad pointer", accept(server, (struct sockaddr *)8, (socklen_t *)8));
  close(fd);
  close(server);

  server = listener(SOCK_STREAM, 5210, 4);
  fd = vsocket(SOCK_STREAM | SOCK_NONBLOCK);
  SAY("connect nonblock", connect_to(fd, kLocal, 5210));
  wait_for(fd, POLLOUT);
  say_socket_error("SO_ERROR connected", fd);
  SAY("connect nonblock again", connect_to(fd, kLocal, 5210));
  served = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  SAY("accept4 F_GETFD", fcntl(served, F_GETFD));
  SAY("accept4 nonblock", (fcntl(served, F_GETFL) & O_NONBLOCK) != 0);
  close(served);
  close(fd);
  close(server);
  fd = vsocket(SOCK_STREAM | SOCK_NONBLOCK);
  SAY("connect nonblock nobody", connect_to(fd, kLocal, 5998));
  wait_for(fd, POLLOUT);
  say_socket_error("SO_ERROR refused", fd);
  say_socket_error("SO_ERROR refused again", fd);
  close(fd);
  server = vsocket(SOCK_STREAM);
  bind_to(server, VMADDR_CID_ANY, 5211);
  fd = vsocket(SOCK_STREAM);
  SAY("connect bound but not listening", connect_to(fd, kLocal, 5211));
  close(fd);
  close(server);
}

static void options(void) {
  int fd = vsocket(SOCK_STREAM);
  unsigned long long value = 0;
  const struct {
    const char *name;
    int option;
  } sizes[] = {{"BUFFER_SIZE", SO_VM_SOCKETS_BUFFER_SIZE}, {"BUFFER_MIN_SIZE", SO_VM_SOCKETS_BUFFER_MIN_SIZE}, {"BUFFER_MAX_SIZE", SO_VM_SOCKETS_BUFFER_MAX_SIZE}};
  for (int i = 0; i < 3; ++i) {
    socklen_t size = sizeof value;
    if (getsockopt(fd, AF_VSOCK, sizes[i].option, &value, &size) != 0) printf("get %s: %s\n", sizes[i].name, errno_text());
    else printf("get %s: %llu size %u\n", sizes[i].name, value, size);
  }
  value = 64;
  SAY("set BUFFER_SIZE below minimum", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, sizeof value));
  socklen_t size = sizeof value;
  getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size);
  printf("BUFFER_SIZE is: %llu\n", value);
  value = 1 << 20;
  SAY("set BUFFER_MAX_SIZE", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &value, sizeof value));
  SAY("set BUFFER_SIZE", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, sizeof value));
  getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size);
  printf("BUFFER_SIZE is now: %llu\n", value);
  SAY("set BUFFER_SIZE short", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, 4));
  size = 4;
  SAY("get BUFFER_SIZE short", getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, &size));
  SAY("set BUFFER_SIZE bad pointer", setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, (void *)8, sizeof value));
  struct timeval time = {0, 0};
  size = sizeof time;
  SAY("get CONNECT_TIMEOUT", getsockopt(fd, AF_VSOCK, 6, &time, &size));
  printf("CONNECT_TIMEOUT: %ld.%06ld size %u\n", (long)time.tv_sec, (long)time.tv_usec, size);
  time.tv_sec = 5;
  SAY("set CONNECT_TIMEOUT", setsockopt(fd, AF_VSOCK, 6, &time, sizeof time));
  SAY("get CONNECT_TIMEOUT_NEW", getsockopt(fd, AF_VSOCK, 8, &time, &size));
  printf("CONNECT_TIMEOUT_NEW: %ld.%06ld\n", (long)time.tv_sec, (long)time.tv_usec);
  time.tv_usec = 1000000;
  SAY("set CONNECT_TIMEOUT out of range", setsockopt(fd, AF_VSOCK, 6, &time, sizeof time));
  SAY("set CONNECT_TIMEOUT short", setsockopt(fd, AF_VSOCK, 6, &time, 4));
  size = sizeof value;
  SAY("get unknown option", getsockopt(fd, AF_VSOCK, 99, &value, &size));
  SAY("set unknown option", setsockopt(fd, AF_VSOCK, 99, &value, sizeof value));
  SAY("get NONBLOCK_TXRX", getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_NONBLOCK_TXRX, &value, &size));
  SAY("get PEER_HOST_VM_ID", getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_PEER_HOST_VM_ID, &value, &size));
  SAY("get TRUSTED", getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_TRUSTED, &value, &size));
  close(fd);
}

static void streams(void) {
  int fds[2];
  char buffer[256];
  pair(SOCK_STREAM, 5300, fds);
  SAY("write", write(fds[0], "hello world", 11));
  wait_for(fds[1], POLLIN);
  int pending = -1;
  SAY("FIONREAD", ioctl(fds[1], FIONREAD, &pending));
  printf("FIONREAD is: %d\n", pending);
  SAY("recv peek", recv(fds[1], buffer, 5, MSG_PEEK));
  SAY("recv part", recv(fds[1], buffer, 5, 0));
  SAY("recv rest", recv(fds[1], buffer, sizeof buffer, 0));
  SAY("recv empty", recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT));
  SAY("send empty", send(fds[0], buffer, 0, 0));
  SAY("recv zero bytes", recv(fds[1], buffer, 0, MSG_DONTWAIT));
  SAY("send oob", send(fds[0], "x", 1, MSG_OOB));
  SAY("recv oob", recv(fds[1], buffer, 1, MSG_OOB));
  struct sockaddr_vm vm = address(kLocal, 5300);
  SAY("sendto address", sendto(fds[0], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&vm, sizeof vm));
  struct timeval time = {0, 50000};
  SAY("set SO_RCVTIMEO", setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
  while (recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
  SAY("recv timeout", recv(fds[1], buffer, 1, 0));
  write(fds[0], "abc", 3);
  SAY("recv waitall", recv(fds[1], buffer, 3, MSG_WAITALL));
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  SAY("writev", writev(fds[0], parts, 2));
  SAY("read", read(fds[1], buffer, sizeof buffer));
  SAY("recv bad pointer", (write(fds[0], "x", 1), recv(fds[1], (void *)8, 1, 0)));
  recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT);
  SAY("send bad pointer", send(fds[0], (void *)8, 1, 0));
  SAY("shutdown bad", shutdown(fds[0], 7));
  SAY("shutdown write", shutdown(fds[0], SHUT_WR));
  SAY("send after shutdown", send(fds[0], "x", 1, MSG_NOSIGNAL));
  wait_for(fds[1], POLLRDHUP);
  say_poll("poll peer shut down", fds[1], 0);
  SAY("recv end", recv(fds[1], buffer, 1, 0));
  SAY("send other way", send(fds[1], "back", 4, MSG_NOSIGNAL));
  SAY("recv other way", recv(fds[0], buffer, sizeof buffer, 0));
  SAY("shutdown read", shutdown(fds[0], SHUT_RD));
  SAY("recv after shutdown", recv(fds[0], buffer, 1, MSG_DONTWAIT));
  usleep(100000);
  SAY("send to shut reader", send(fds[1], "x", 1, MSG_NOSIGNAL));
  close_pair(fds);

  pair(SOCK_STREAM, 5301, fds);
  close(fds[0]);
  wait_for(fds[1], POLLRDHUP);
  say_poll("poll peer closed", fds[1], 0);
  SAY("recv peer closed", recv(fds[1], buffer, 1, 0));
  usleep(100000);
  SAY("send peer closed", send(fds[1], "x", 1, MSG_NOSIGNAL));
  say_name("getpeername peer closed", fds[1], getpeername);
  close(fds[1]);

  pair(SOCK_STREAM, 5302, fds);
  write(fds[0], "unread", 6);
  wait_for(fds[1], POLLIN);
  close(fds[1]);
  wait_for(fds[0], POLLIN);
  SAY("recv peer closed with unread data", recv(fds[0], buffer, 1, 0));
  close(fds[0]);

  pair(SOCK_STREAM, 5303, fds);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  static char block[65536];
  long sent = 0, count;
  while ((count = write(fds[0], block, sizeof block)) > 0) sent += count;
  printf("fill: %s after some: %s\n", errno_text(), sent >= 65536 ? "yes" : "no");
  say_poll("poll full", fds[0], 0);
  long drained = 0;
  while (drained < sent && (count = read(fds[1], block, sizeof block)) > 0) drained += count;
  wait_for(fds[0], POLLOUT);
  say_poll("poll drained", fds[0], 0);
  close_pair(fds);

  pair(SOCK_STREAM, 5304, fds);
  int epoll = epoll_create1(0);
  struct epoll_event event = {EPOLLIN | EPOLLET, {0}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event);
  SAY("epoll edge before", epoll_wait(epoll, &event, 1, 0));
  write(fds[0], "x", 1);
  SAY("epoll edge first", epoll_wait(epoll, &event, 1, kPatience));
  SAY("epoll edge second", epoll_wait(epoll, &event, 1, 0));
  write(fds[0], "y", 1);
  SAY("epoll edge more", epoll_wait(epoll, &event, 1, kPatience));
  close(epoll);
  int copy = dup(fds[1]);
  close(fds[1]);
  SAY("read from duplicate", read(copy, buffer, 2));
  fds[1] = copy;
  pid_t child = fork();
  if (child == 0) _exit(write(fds[0], "child", 5) == 5 ? 0 : 1);
  waitpid(child, NULL, 0);
  SAY("read from fork", read(fds[1], buffer, sizeof buffer));
  close_pair(fds);
}

static void packets(void) {
  int fds[2];
  char buffer[64];
  pair(SOCK_SEQPACKET, 5400, fds);
  SAY("packet one", send(fds[0], "one", 3, 0));
  SAY("packet two", send(fds[0], "twotwo", 6, MSG_EOR));
  wait_for(fds[1], POLLIN);
  struct iovec part = {buffer, sizeof buffer};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  SAY("recvmsg packet", recvmsg(fds[1], &message, 0));
  printf("flags: %s%s\n", message.msg_flags & MSG_EOR ? "eor " : "", message.msg_flags & MSG_TRUNC ? "trunc" : "");
  part.iov_len = 3;
  SAY("recvmsg cut", recvmsg(fds[1], &message, 0));
  printf("flags cut: %s%s\n", message.msg_flags & MSG_EOR ? "eor " : "", message.msg_flags & MSG_TRUNC ? "trunc" : "");
  SAY("recv after cut", recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT));
  send(fds[0], "lengthy", 7, 0);
  wait_for(fds[1], POLLIN);
  SAY("recv MSG_TRUNC", recv(fds[1], buffer, 2, MSG_TRUNC));
  send(fds[0], "peek", 4, 0);
  wait_for(fds[1], POLLIN);
  SAY("recv packet peek", recv(fds[1], buffer, sizeof buffer, MSG_PEEK));
  SAY("recv packet after peek", recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT));
  SAY("shutdown packets", shutdown(fds[0], SHUT_WR));
  SAY("recv packets end", recv(fds[1], buffer, 1, 0));
  close_pair(fds);
}

static void names(void) {
  int fds[2];
  char buffer[64];
  char name[128];
  pair(SOCK_STREAM, 5500, fds);
  write(fds[0], "data", 4);
  socklen_t size = sizeof name;
  SAY("recvfrom with name", recvfrom(fds[1], buffer, 2, 0, (struct sockaddr *)name, &size));
  printf("recvfrom name: %s\n", size == 0 ? "none" : "some");
  struct iovec part = {buffer, sizeof buffer};
  struct msghdr message = {.msg_name = name, .msg_namelen = sizeof name, .msg_iov = &part, .msg_iovlen = 1};
  SAY("recvmsg with name", recvmsg(fds[1], &message, 0));
  printf("recvmsg name: %s\n", message.msg_namelen == 0 ? "none" : "some");
  close_pair(fds);
}

static void load_modules(void) {
  mkdir("/proc", 0755);
  mkdir("/dev", 0755);
  mount("proc", "/proc", "proc", 0, NULL);
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  const char *const modules[] = {"vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"};
  for (int i = 0; i < 3; ++i) {
    char path[128];
    snprintf(path, sizeof path, "/modules/%s.ko", modules[i]);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)) printf("module %s: %s\n", modules[i], errno_text());
    close(fd);
  }
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGPIPE, SIG_IGN);
  const int machine = getpid() == 1;
  if (machine) load_modules();
  alarm(300);
  puts("begin");
  sockets();
  binding();
  connecting();
  options();
  streams();
  packets();
  names();
  puts("end");
  if (machine) {
    sync();
    reboot(RB_AUTOBOOT);
  }
  return 0;
}
