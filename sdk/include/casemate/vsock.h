// SPDX-License-Identifier: Apache-2.0
// AF_VSOCK stream sockets of the kernel (vsock(7)): what an enclave uses, on Nitro hardware and on the local platform
// alike. A parent uses parent.h, which also knows the local platform.
#pragma once

#include <chrono>

#include "casemate/result.h"

namespace casemate::vsock {

inline constexpr std::uint32_t kAnyCid = 0xffffffff;
// The parent instance as every enclave sees it.
inline constexpr std::uint32_t kParentCid = 3;

struct Address {
  std::uint32_t cid = 0;
  std::uint32_t port = 0;

  bool operator==(const Address&) const = default;
};

// to_string gives `CID 3 port 8000`.
std::string to_string(const Address& address);

// connect returns a connected, non-blocking, close-on-exec socket. Errors: kUnavailable (nobody listens, time is up),
// kNotFound (no such CID), kInternal.
Result<UniqueFd> connect(const Address& address, std::chrono::milliseconds timeout);

// listen binds the port on every CID of this machine; the listener is non-blocking and close-on-exec. Errors: kConflict
// (port in use), kDenied, kInternal.
Result<UniqueFd> listen(std::uint32_t port, int backlog = 128);

}  // namespace casemate::vsock
