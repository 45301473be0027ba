// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/tracee.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/result.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // PIDFD_THREAD, Linux 6.9

std::string read_status(pid_t tid) {
  const UniqueFd file(::open(fmt::format("/proc/{}/status", tid).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(4096, '\0');
  const ssize_t count = file ? ::read(file.get(), text.data(), text.size()) : -1;
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

std::optional<std::uint64_t> find_field(const std::string& status, const char* name, int base) {
  const std::string key = fmt::format("\n{}:\t", name);
  const auto at = status.find(key);
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(status.c_str() + at + key.size(), nullptr, base);
}

}  // namespace

bool Tracee::read(std::uint64_t address, std::span<std::uint8_t> out) const {
  if (out.empty()) return true;
  const iovec local{out.data(), out.size()};
  const iovec remote{reinterpret_cast<void*>(address), out.size()};
  return ::process_vm_readv(tid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(out.size());
}

bool Tracee::write(std::uint64_t address, ByteView data) const {
  if (data.empty()) return true;
  const iovec local{const_cast<std::uint8_t*>(data.data()), data.size()};
  const iovec remote{reinterpret_cast<void*>(address), data.size()};
  return ::process_vm_writev(tid_, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(data.size());
}

bool Tracee::write_both(std::uint64_t address, ByteView data, std::uint64_t size_address, ByteView size) const {
  const iovec local[2] = {{const_cast<std::uint8_t*>(data.data()), data.size()}, {const_cast<std::uint8_t*>(size.data()), size.size()}};
  const iovec remote[2] = {{reinterpret_cast<void*>(address), data.size()}, {reinterpret_cast<void*>(size_address), size.size()}};
  return ::process_vm_writev(tid_, local, 2, remote, 2, 0) == static_cast<ssize_t>(data.size() + size.size());
}

UniqueFd Tracee::open_process(bool* exact) const {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, tid_, kPidfdThread)));
  if (exact != nullptr) *exact = true;
  if (!process && errno == EINVAL) {
    // Before 6.9 only a thread group's leader has one; threads share its table unless they took pains not to.
    const auto leader = find_field(read_status(tid_), "Tgid", 10);
    if (leader) process.reset(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*leader), 0)));
    if (exact != nullptr) *exact = leader && static_cast<pid_t>(*leader) == tid_;
  }
  return process;
}

UniqueFd Tracee::duplicate(int fd) const {
  const UniqueFd process = open_process();
  if (!process) return {};
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
}

UniqueFd LastTracee::duplicate(pid_t tid, int fd) {
  if (process_ && tid == tid_) {
    UniqueFd file(static_cast<int>(::syscall(SYS_pidfd_getfd, process_.get(), fd, 0)));
    if (file) return file;
    // Before Linux 6.8 a thread that is gone is told no otherwise than a descriptor that is not there.
    const int error = errno;
    confirmed_ = false;
    errno = error;
    // A number given to another thread meanwhile: the handle still means the one that is gone.
    if (error != ESRCH) return file;
  }
  tid_ = tid;
  confirmed_ = false;
  process_ = Tracee(tid).open_process(&exact_);
  if (!process_) return {};
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, process_.get(), fd, 0)));
}

std::optional<std::uint64_t> Tracee::status_field(const char* name) const {
  return find_field(read_status(tid_), name, 16);
}

bool Tracee::has_capability(int capability) const {
  return (status_field("CapEff").value_or(0) >> capability & 1) != 0;
}

bool Tracee::catches_signals() const {
  constexpr std::uint64_t kLibraryOwn = std::uint64_t{3} << 31;  // SIGCANCEL and SIGSETXID, 32 and 33
  return (status_field("SigCgt").value_or(0) & ~kLibraryOwn) != 0;
}

bool Tracee::has_signal_to_handle() const {
  const std::string status = read_status(tid_);
  const auto field = [&](const char* name) { return find_field(status, name, 16).value_or(0); };
  return ((field("SigPnd") | field("ShdPnd")) & ~field("SigBlk") & ~field("SigIgn")) != 0;
}

}  // namespace casemate::runtime::sandbox
