// SPDX-License-Identifier: Apache-2.0
// The NSM driver's one request, as in Linux's <linux/nsm.h>, which Debian 12's headers do not have yet.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>

namespace casemate::nsm {

struct Iovec {
  std::uint64_t address;
  std::uint64_t length;  // bytes; of the response, set by the driver
};

struct RawRequest {
  Iovec request;
  Iovec response;
};
static_assert(sizeof(RawRequest) == 32);

inline constexpr unsigned long kIoctlRaw = _IOWR(0x0A, 0, RawRequest);  // NSM_IOCTL_RAW

}  // namespace casemate::nsm
