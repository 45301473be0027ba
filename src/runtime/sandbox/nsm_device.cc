// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/nsm_device.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/sandbox/emulated.h"

namespace casemate::runtime::sandbox {
namespace {

// struct nsm_raw of linux/nsm.h.
struct NsmRaw {
  std::uint64_t request_address;
  std::uint64_t request_length;
  std::uint64_t response_address;
  std::uint64_t response_length;
};
static_assert(sizeof(NsmRaw) == 32);

std::uint64_t mount_of(int fd) {
  struct statx status{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0 || (status.stx_mask & STATX_MNT_ID) == 0) return 0;
  return status.stx_mnt_id;
}

template <typename T>
std::span<std::uint8_t> bytes_of(T& value) {
  return {reinterpret_cast<std::uint8_t*>(&value), sizeof value};
}

}  // namespace

DeviceEmulator::DeviceEmulator(const seccomp::Listener& listener, Guest guest, Nsm nsm)
    : listener_(listener), guest_(guest), nsm_(std::move(nsm)), thread_([this] { run(); }) {}

DeviceEmulator::~DeviceEmulator() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void DeviceEmulator::handle(const seccomp::Notification& call) {
  // The kernel's ioctl takes an unsigned int.
  const auto command = static_cast<std::uint32_t>(call.args[1]);
  const Tracee tracee(call.tid);
  const UniqueFd fd = tracee.duplicate(static_cast<int>(call.args[0]));
  const bool exhausted = !fd && (errno == EMFILE || errno == ENFILE);
  if (!listener_.is_valid(call.id)) return;
  if (exhausted) {
    listener_.fail(call.id, ENFILE);
    return;
  }
  const std::uint64_t mount = fd ? mount_of(fd.get()) : 0;
  if (mount != 0 && mount == guest_.vsock_mount && command == kVsockGetLocalCid) {
    const std::uint32_t cid = guest_.cid;
    const bool written = tracee.write(call.args[2], {reinterpret_cast<const std::uint8_t*>(&cid), sizeof cid});
    written ? listener_.succeed(call.id, 0) : listener_.fail(call.id, EFAULT);
    return;
  }
  if (mount == 0 || mount != guest_.nsm_mount) {
    listener_.resume(call.id);
    return;
  }
  if (command != kNsmIoctlRaw) {
    listener_.fail(call.id, EINVAL);
    return;
  }
  const std::lock_guard lock(mutex_);
  queue_.push_back(call);
  wake_.notify_one();
}

void DeviceEmulator::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const seccomp::Notification call = queue_.front();
    queue_.pop_front();
    lock.unlock();
    answer_raw(call);
    lock.lock();
  }
}

void DeviceEmulator::answer_raw(const seccomp::Notification& call) {
  Bytes request;
  Bytes response;
  const Errno error = exchange(call, request, response);
  const auto delivery = error == 0 ? listener_.succeed(call.id, 0) : listener_.fail(call.id, error);
  if (delivery == seccomp::Delivery::kGone && !response.empty() && guest_.interruptible == seccomp::Interruptible::kYes)
    undelivered_ = Undelivered{call.tid, call.args[2], std::move(request), std::move(response)};
}

Errno DeviceEmulator::exchange(const seccomp::Notification& call, Bytes& request, Bytes& response) {
  const Tracee tracee(call.tid);
  NsmRaw raw{};
  if (!tracee.read(call.args[2], bytes_of(raw))) return EFAULT;
  if (raw.request_length > kNsmRequestMax) return EMSGSIZE;
  request.resize(static_cast<std::size_t>(raw.request_length));
  if (!tracee.read(raw.request_address, request)) return EFAULT;
  if (!listener_.is_valid(call.id)) return EINTR;

  if (undelivered_ && undelivered_->tid == call.tid && undelivered_->argument == call.args[2] && undelivered_->request == request) {
    response = std::move(undelivered_->response);
  } else {
    response = nsm_(request);
  }
  undelivered_.reset();
  CASEMATE_CHECK(response.size() <= kNsmResponseMax);
  if (!listener_.is_valid(call.id)) return EINTR;
  raw.response_length = std::min<std::uint64_t>(response.size(), raw.response_length);
  if (!tracee.write(raw.response_address, ByteView(response).first(static_cast<std::size_t>(raw.response_length)))) return EFAULT;
  return tracee.write(call.args[2], bytes_of(raw)) ? 0 : EFAULT;
}

}  // namespace casemate::runtime::sandbox
