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
    if (guest_.delay.count() > 0 && wake_.wait_for(lock, guest_.delay, [this] { return stopping_; })) return;
    lock.unlock();
    answer_raw(call);
    lock.lock();
  }
}

void DeviceEmulator::answer_raw(const seccomp::Notification& call) {
  Answered answer;
  const Errno error = exchange(call, answer);
  answer.delivery = error == 0 ? listener_.succeed(call.id, 0) : listener_.fail(call.id, error);
  if (answer.response.empty() || guest_.interruptible == seccomp::Interruptible::kNo) return;
  constexpr std::size_t kMaxAnswered = 64;
  if (answered_.size() == kMaxAnswered) answered_.pop_front();
  answered_.push_back(std::move(answer));
}

// take_answer gives the response to a request that was made before, or nothing; what is remembered of its thread goes.
Bytes DeviceEmulator::take_answer(const Answered& repeated) {
  const auto found = std::find_if(answered_.begin(), answered_.end(), [&](const Answered& item) { return item.tid == repeated.tid; });
  if (found == answered_.end()) return {};
  const Answered known = std::move(*found);
  answered_.erase(found);
  const bool same = known.argument == repeated.argument && known.request == repeated.request && known.length_left == repeated.length_given;
  const bool taken_back = known.delivery == seccomp::Delivery::kGone || known.length_given != known.length_left;
  return same && taken_back ? known.response : Bytes();
}

Errno DeviceEmulator::exchange(const seccomp::Notification& call, Answered& answer) {
  const Tracee tracee(call.tid);
  NsmRaw raw{};
  if (!tracee.read(call.args[2], bytes_of(raw))) return EFAULT;
  if (raw.request_length > kNsmRequestMax) return EMSGSIZE;
  answer.tid = call.tid;
  answer.argument = call.args[2];
  answer.length_given = answer.length_left = raw.response_length;
  answer.request.resize(static_cast<std::size_t>(raw.request_length));
  if (!tracee.read(raw.request_address, answer.request)) return EFAULT;
  if (!listener_.is_valid(call.id)) return EINTR;

  answer.response = take_answer(answer);
  if (answer.response.empty()) answer.response = nsm_(answer.request);
  CASEMATE_CHECK(answer.response.size() <= kNsmResponseMax);
  if (!listener_.is_valid(call.id)) return EINTR;
  raw.response_length = std::min<std::uint64_t>(answer.response.size(), raw.response_length);
  if (!tracee.write(raw.response_address, ByteView(answer.response).first(static_cast<std::size_t>(raw.response_length)))) return EFAULT;
  if (!tracee.write(call.args[2], bytes_of(raw))) return EFAULT;
  answer.length_left = raw.response_length;
  return 0;
}

}  // namespace casemate::runtime::sandbox
