// SPDX-License-Identifier: Apache-2.0
// What AF_VSOCK calls pass through memory: sockaddr_vm and socket options, copied from and to a tracee with the kernel's
// own order of checks and errors (net/socket.c, net/vmw_vsock/af_vsock.c).
#pragma once

#include <chrono>
#include <cstdint>

#include "fabric/fabric.h"
#include "runtime/sandbox/tracee.h"

namespace casemate::runtime::sandbox {

// Errno is 0 or the errno that the call fails with.
using Errno = int;

// read_address copies and checks a sockaddr_vm.
Errno read_address(const Tracee& tracee, std::uint64_t address, std::uint64_t size, fabric::Address& out);

// AddressSlot is where a call wants an address written: a buffer and its size, both optional in accept.
struct AddressSlot {
  std::uint64_t address = 0;
  std::uint64_t size_address = 0;
};
// check_slot finds what would fail before there is an address to write; write_address writes it, cut to the buffer, and
// its full size.
Errno check_slot(const Tracee& tracee, AddressSlot slot);
Errno write_address(const Tracee& tracee, AddressSlot slot, fabric::Address value);

// VsockOptions are a socket's options of level AF_VSOCK. They are kept and answered; the Unix socket's own buffers do
// the work.
struct VsockOptions {
  std::uint64_t buffer_size = 256 * 1024;  // Linux's defaults
  std::uint64_t buffer_min_size = 128;
  std::uint64_t buffer_max_size = 256 * 1024;
  std::chrono::microseconds connect_timeout{2'000'000};
};
Errno read_option(const Tracee& tracee, VsockOptions& options, int name, std::uint64_t address, std::uint64_t size);
Errno write_option(const Tracee& tracee, const VsockOptions& options, int name, std::uint64_t address, std::uint64_t size_address);

// write_int answers getsockopt of an int option.
Errno write_int(const Tracee& tracee, int value, std::uint64_t address, std::uint64_t size_address);

}  // namespace casemate::runtime::sandbox
