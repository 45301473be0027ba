// SPDX-License-Identifier: Apache-2.0
#include "seccomp/notify.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

namespace casemate::seccomp {

Listener::Listener(UniqueFd fd) : fd_(std::move(fd)) {
  (void)::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

Result<std::optional<Notification>> Listener::receive() {
  seccomp_notif request{};
  if (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) {
    if (errno == EINTR) return std::optional<Notification>();
    if (errno != ENOENT) return errno_error("seccomp notification");
    pollfd state{fd_.get(), 0, 0};
    if (::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0) return unavailable("seccomp notification: nobody is left");
    return std::optional<Notification>();
  }
  Notification out{request.id, static_cast<pid_t>(request.pid), request.data.nr, {}};
  for (std::size_t i = 0; i < out.args.size(); ++i) out.args[i] = request.data.args[i];
  return std::optional<Notification>(out);
}

bool Listener::is_valid(std::uint64_t id) const {
  return ::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

Delivery Listener::succeed(std::uint64_t id, std::int64_t value) const {
  return answer(id, value, 0, 0);
}

Delivery Listener::fail(std::uint64_t id, int errno_number) const {
  return answer(id, 0, -errno_number, 0);
}

Delivery Listener::resume(std::uint64_t id) const {
  return answer(id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

Delivery Listener::answer(std::uint64_t id, std::int64_t value, int error, std::uint32_t flags) const {
  seccomp_notif_resp response{};
  response.id = id;
  response.val = value;
  response.error = error;
  response.flags = flags;
  while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response) != 0) {
    if (errno != EINTR) return Delivery::kGone;
  }
  return Delivery::kDelivered;
}

Listener::Installed Listener::install_fd(std::uint64_t id, int fd, CloseOnExec close_on_exec) const {
  seccomp_notif_addfd request{};
  request.id = id;
  request.srcfd = static_cast<std::uint32_t>(fd);
  request.flags = SECCOMP_ADDFD_FLAG_SEND;
  request.newfd_flags = close_on_exec == CloseOnExec::kYes ? 02000000u /* O_CLOEXEC */ : 0u;
  while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &request) < 0) {
    // EINTR: our own signal; the kernel took the request back.
    if (errno == EINTR) continue;
    if (errno == ENOENT || errno == EINPROGRESS || errno == ESRCH) return {Delivery::kGone, 0};
    return {Delivery::kDelivered, errno};
  }
  return {Delivery::kDelivered, 0};
}

Result<Installed> install(const Program& program, Interruptible want) {
  const sock_fprog code{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
  const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  long fd = -1;
  if (want == Interruptible::kNo) {
    fd = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &code);
    if (fd >= 0) return Installed{UniqueFd(static_cast<int>(fd)), Interruptible::kNo};
  }
  if (want == Interruptible::kYes || errno == EINVAL) fd = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code);
  if (fd < 0) {
    if (errno == EINVAL || errno == ENOSYS) return unsupported("seccomp user notification: this kernel lacks it, want Linux 5.14");
    if (errno == EBUSY) return unsupported("seccomp: a filter with a listener is already in place (another sandbox?)");
    return errno_error("seccomp filter");
  }
  return Installed{UniqueFd(static_cast<int>(fd)), Interruptible::kYes};
}

}  // namespace casemate::seccomp
