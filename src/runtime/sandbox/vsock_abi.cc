// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/vsock_abi.h"

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace casemate::runtime::sandbox {
namespace {

constexpr int kConnectTimeoutOld = 6;  // SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD
constexpr int kConnectTimeoutNew = 8;  // SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW
constexpr std::uint8_t kFlagToHost = 1;  // VMADDR_FLAG_TO_HOST

template <typename T>
std::span<std::uint8_t> bytes_of(T& value) {
  return {reinterpret_cast<std::uint8_t*>(&value), sizeof value};
}
template <typename T>
ByteView view_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

Errno write_sized(const Tracee& tracee, ByteView value, std::int32_t room, std::uint64_t address, std::uint64_t size_address) {
  const auto count = std::min<std::size_t>(value.size(), static_cast<std::size_t>(room));
  const auto size = static_cast<std::int32_t>(count);
  return tracee.write_both(address, value.first(count), size_address, view_of(size)) ? 0 : EFAULT;
}

}  // namespace

Errno read_address(const Tracee& tracee, std::uint64_t address, std::uint64_t size, fabric::Address& out) {
  const auto length = static_cast<std::int32_t>(size);
  if (length < 0 || static_cast<std::size_t>(length) > sizeof(sockaddr_storage)) return EINVAL;
  sockaddr_vm value{};
  if (static_cast<std::size_t>(length) < sizeof value) return EINVAL;
  if (!tracee.read(address, bytes_of(value))) return EFAULT;
  if (value.svm_family != AF_VSOCK) return EINVAL;
  // Headers before Linux 5.11 know svm_flags as the first byte of svm_zero.
  std::uint8_t flags = 0;
  std::memcpy(&flags, reinterpret_cast<const char*>(&value) + 12, 1);
  if ((flags & ~kFlagToHost) != 0) return EINVAL;
  out = {value.svm_cid, value.svm_port};
  return 0;
}

Errno check_slot(const Tracee& tracee, AddressSlot slot) {
  if (slot.address == 0) return 0;
  std::int32_t room = 0;
  if (!tracee.read(slot.size_address, bytes_of(room))) return EFAULT;
  return room < 0 ? EINVAL : 0;
}

Errno write_address(const Tracee& tracee, AddressSlot slot, fabric::Address value) {
  std::int32_t room = 0;
  if (!tracee.read(slot.size_address, bytes_of(room))) return EFAULT;
  if (room < 0) return EINVAL;
  sockaddr_vm out{};
  out.svm_family = AF_VSOCK;
  out.svm_cid = value.cid;
  out.svm_port = value.port;
  const auto count = std::min<std::size_t>(static_cast<std::size_t>(room), sizeof out);
  const std::int32_t full = sizeof out;
  return tracee.write_both(slot.address, view_of(out).first(count), slot.size_address, view_of(full)) ? 0 : EFAULT;
}

Errno read_option(const Tracee& tracee, VsockOptions& options, int name, std::uint64_t address, std::uint64_t size) {
  const auto length = static_cast<std::int32_t>(size);
  if (length < 0) return EINVAL;
  const auto room = static_cast<std::size_t>(length);
  if (name == kConnectTimeoutOld || name == kConnectTimeoutNew) {
    timeval value{};
    if (room < sizeof value) return EINVAL;
    if (!tracee.read(address, bytes_of(value))) return EFAULT;
    constexpr std::int64_t kLongest = INT64_MAX / 1'000'000 - 1;
    if (value.tv_sec < 0 || value.tv_usec < 0 || value.tv_usec >= 1'000'000 || value.tv_sec > kLongest) return ERANGE;
    options.connect_timeout = std::chrono::seconds(value.tv_sec) + std::chrono::microseconds(value.tv_usec);
    if (options.connect_timeout.count() == 0) options.connect_timeout = VsockOptions{}.connect_timeout;
    return 0;
  }
  if (name < SO_VM_SOCKETS_BUFFER_SIZE || name > SO_VM_SOCKETS_BUFFER_MAX_SIZE) return ENOPROTOOPT;
  std::uint64_t value = 0;
  if (room < sizeof value) return EINVAL;
  if (!tracee.read(address, bytes_of(value))) return EFAULT;
  if (name == SO_VM_SOCKETS_BUFFER_MIN_SIZE) options.buffer_min_size = value;
  if (name == SO_VM_SOCKETS_BUFFER_MAX_SIZE) options.buffer_max_size = value;
  if (name == SO_VM_SOCKETS_BUFFER_SIZE) options.buffer_size = value;
  // The lower bound is applied last, as the kernel does when the two cross.
  options.buffer_size = std::max(std::min(options.buffer_size, options.buffer_max_size), options.buffer_min_size);
  return 0;
}

Errno write_option(const Tracee& tracee, const VsockOptions& options, int name, std::uint64_t address, std::uint64_t size_address) {
  std::int32_t room = 0;
  if (!tracee.read(size_address, bytes_of(room))) return EFAULT;
  const auto fits = [room](std::size_t size) { return room >= 0 && static_cast<std::size_t>(room) >= size; };
  if (name == kConnectTimeoutOld || name == kConnectTimeoutNew) {
    const timeval value{options.connect_timeout.count() / 1'000'000, options.connect_timeout.count() % 1'000'000};
    return fits(sizeof value) ? write_sized(tracee, view_of(value), room, address, size_address) : EINVAL;
  }
  std::uint64_t value = 0;
  switch (name) {
    case SO_VM_SOCKETS_BUFFER_SIZE: value = options.buffer_size; break;
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE: value = options.buffer_min_size; break;
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE: value = options.buffer_max_size; break;
    default: return ENOPROTOOPT;
  }
  return fits(sizeof value) ? write_sized(tracee, view_of(value), room, address, size_address) : EINVAL;
}

Errno write_int(const Tracee& tracee, int value, std::uint64_t address, std::uint64_t size_address) {
  std::int32_t room = 0;
  if (!tracee.read(size_address, bytes_of(room))) return EFAULT;
  if (room < 0) return EINVAL;
  return write_sized(tracee, view_of(value), room, address, size_address);
}

}  // namespace casemate::runtime::sandbox
