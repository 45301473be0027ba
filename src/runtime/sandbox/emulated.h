// SPDX-License-Identifier: Apache-2.0
// Numbers of the two emulated devices and of AF_VSOCK that the C library's headers lack.
#pragma once

#include <cstdint>

namespace casemate::runtime::sandbox {

// linux/nsm.h: NSM_IOCTL_RAW = _IOWR(0x0A, 0, struct nsm_raw).
inline constexpr std::uint32_t kNsmIoctlType = 0x0A;
inline constexpr std::uint32_t kNsmIoctlRaw = 0xC0200A00;
inline constexpr std::uint64_t kNsmRequestMax = 0x1000;
inline constexpr std::uint64_t kNsmResponseMax = 0x3000;

// linux/vm_sockets.h: IOCTL_VM_SOCKETS_GET_LOCAL_CID = _IO(7, 0xb9).
inline constexpr std::uint32_t kVsockGetLocalCid = 0x7b9;
inline constexpr std::uint32_t kVsockLocalCid = 1;  // VMADDR_CID_LOCAL

}  // namespace casemate::runtime::sandbox
