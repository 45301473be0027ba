// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "base/test_matchers.h"
#include "seccomp/notify.h"
#include "seccomp/program.h"

namespace casemate::seccomp {
namespace {

// run is a plain interpreter of the instructions that assemble() emits.
std::uint32_t run(const Program& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& code = program[at];
    switch (code.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + code.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K: accumulator &= code.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: at += accumulator == code.k ? code.jt : code.jf; break;
      case BPF_JMP | BPF_JGE | BPF_K: at += accumulator >= code.k ? code.jt : code.jf; break;
      case BPF_RET | BPF_K: return code.k;
      default: ADD_FAILURE() << "instruction " << code.code; return 0;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

seccomp_data call(long number, std::uint64_t a = 0, std::uint64_t b = 0) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
#if defined(__x86_64__)
  data.arch = AUDIT_ARCH_X86_64;
#else
  data.arch = AUDIT_ARCH_AARCH64;
#endif
  data.args[0] = a;
  data.args[1] = b;
  return data;
}

Program sample() {
  const std::vector<Rule> rules = {
      {"read", {}, allow(), ""},
      {"write", {}, allow(), ""},
      {"close", {}, allow(), ""},
      {"socket", {{0, AF_VSOCK}}, notify(), ""},
      {"socket", {{0, AF_UNIX}, {1, SOCK_STREAM, 0xf}}, allow(), ""},
      {"socket", {}, fail(EAFNOSUPPORT), ""},
      {"mount", {}, fail(EPERM), ""},
      {"ioctl", {{1, 5}}, fail(EINVAL), ""},
  };
  auto program = assemble(rules, fail(ENOSYS), fail(EBADE));
  EXPECT_THAT(program, IsOk());
  return program.take();
}

TEST(SeccompProgram, TheFirstRuleOfACallThatHoldsWins) {
  const Program program = sample();
  EXPECT_EQ(run(program, call(SYS_read)), allow().value);
  EXPECT_EQ(run(program, call(SYS_close)), allow().value);
  EXPECT_EQ(run(program, call(SYS_mount)), fail(EPERM).value);
  EXPECT_EQ(run(program, call(SYS_socket, AF_VSOCK)), notify().value);
  EXPECT_EQ(run(program, call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)), allow().value);
  EXPECT_EQ(run(program, call(SYS_socket, AF_UNIX, SOCK_DGRAM)), fail(EAFNOSUPPORT).value);
  EXPECT_EQ(run(program, call(SYS_socket, AF_PACKET)), fail(EAFNOSUPPORT).value);
  EXPECT_EQ(run(program, call(SYS_ioctl, 0, 5)), fail(EINVAL).value);
  EXPECT_EQ(run(program, call(SYS_ioctl, 0, 6)), fail(ENOSYS).value);
  for (const int other : {SYS_reboot, SYS_fstat, SYS_lseek, 1000000}) EXPECT_EQ(run(program, call(other)), fail(ENOSYS).value);
}

TEST(SeccompProgram, LooksAtTheHalfOfAnArgumentThatTheKernelUses) {
  EXPECT_EQ(run(sample(), call(SYS_socket, (1ull << 32) | AF_VSOCK)), notify().value);
}

TEST(SeccompProgram, RefusesForeignCalls) {
  seccomp_data data = call(SYS_read);
  data.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(run(sample(), data), fail(EBADE).value);
#if defined(__x86_64__)
  EXPECT_EQ(run(sample(), call(SYS_read | 0x40000000)), fail(EBADE).value);
  EXPECT_EQ(run(sample(), call(-1)), fail(EBADE).value);
#endif
}

TEST(SeccompProgram, RefusesAnUnknownName) {
  EXPECT_THAT(assemble({{"no_such_call", {}, allow(), ""}}, allow(), allow()), IsError(ErrorCode::kMalformed));
}

class Notify : public testing::Test {
 protected:
  // start runs `body` in a child under a filter that notifies of getppid and dup, and hands us its listener.
  void start(int (*body)()) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    auto program = assemble({{"getppid", {}, notify(), ""}, {"dup", {}, notify(), ""}}, allow(), fail(ENOSYS));
    ASSERT_THAT(program, IsOk());
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      auto installed = install(*program);
      if (!installed.ok()) ::_exit(100);
      char control[CMSG_SPACE(sizeof(int))] = {};
      char byte = 0;
      iovec part{&byte, 1};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = installed->listener.get();
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
      ::sendmsg(pair[1], &message, 0);
      installed->listener.reset();
      ::_exit(body());
    }
    ::close(pair[1]);
    char control[CMSG_SPACE(sizeof(int))] = {};
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ASSERT_EQ(::recvmsg(pair[0], &message, 0), 1);
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    ASSERT_NE(header, nullptr);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    listener_.emplace(UniqueFd(fd));
    ::close(pair[0]);
  }

  Notification receive() {
    auto request = listener_->receive();
    EXPECT_THAT(request, IsOk());
    EXPECT_TRUE(request->has_value());
    return request->value_or(Notification{});
  }

  int exit_status() const {
    int status = -1;
    EXPECT_EQ(::waitpid(child_, &status, 0), child_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  pid_t child_ = -1;
  std::optional<Listener> listener_;
};

TEST_F(Notify, AnswersTheCall) {
  start([] { return ::syscall(SYS_getppid) == 42 && ::syscall(SYS_getppid) == -1 && errno == EXDEV ? 0 : 1; });
  Notification request = receive();
  EXPECT_EQ(request.tid, child_);
  EXPECT_EQ(request.call, SYS_getppid);
  EXPECT_TRUE(listener_->is_valid(request.id));
  EXPECT_EQ(listener_->succeed(request.id, 42), Delivery::kDelivered);
  EXPECT_EQ(listener_->succeed(request.id, 42), Delivery::kGone);
  request = receive();
  EXPECT_EQ(listener_->fail(request.id, EXDEV), Delivery::kDelivered);
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(Notify, LetsTheKernelRunIt) {
  start([] { return ::syscall(SYS_getppid) == ::getppid() ? 0 : 1; });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(listener_->resume(receive().id), Delivery::kDelivered);
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(Notify, InstallsADescriptorAndAnswersWithItsNumber) {
  start([] {
    const int fd = ::dup(0);
    if (fd < 0 || ::fcntl(fd, F_GETFD) != FD_CLOEXEC) return 1;
    char text[4] = {};
    return ::read(fd, text, 4) == 2 && text[0] == 'o' ? 0 : 2;
  });
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ASSERT_EQ(::write(pipe[1], "ok", 2), 2);
  const auto installed = listener_->install_fd(receive().id, pipe[0], Listener::CloseOnExec::kYes);
  EXPECT_EQ(installed.delivery, Delivery::kDelivered);
  EXPECT_EQ(installed.errno_number, 0);
  EXPECT_EQ(exit_status(), 0);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(Notify, TellsThatTheCallerDied) {
  start([] { return static_cast<int>(::syscall(SYS_getppid)); });
  const Notification request = receive();
  ASSERT_EQ(::kill(child_, SIGKILL), 0);
  EXPECT_EQ(exit_status(), -1);
  EXPECT_FALSE(listener_->is_valid(request.id));
  EXPECT_EQ(listener_->succeed(request.id, 1), Delivery::kGone);
  EXPECT_EQ(listener_->install_fd(request.id, 0, Listener::CloseOnExec::kYes).delivery, Delivery::kGone);
}

}  // namespace
}  // namespace casemate::seccomp
