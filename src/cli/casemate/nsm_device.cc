// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/nsm_device.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "nsm/ioctl.h"
#include "os/file.h"

namespace casemate::cli {
Result<nsm::Response> ask_nsm(const nsm::Request& request) {
  auto device = os::open("/dev/nsm", O_RDWR);
  if (!device.ok()) return std::move(device).error().in("want to run inside an enclave");
  const Bytes encoded = nsm::encode_request(request);
  if (encoded.size() > nsm::kMaxRequestBytes) {
    return over_limit("request: {} bytes, want at most {}", encoded.size(), nsm::kMaxRequestBytes);
  }
  Bytes response(nsm::kMaxResponseBytes);
  nsm::RawRequest raw{{reinterpret_cast<std::uint64_t>(encoded.data()), encoded.size()},
             {reinterpret_cast<std::uint64_t>(response.data()), response.size()}};
  if (ioctl(device->get(), nsm::kIoctlRaw, &raw) != 0) return errno_error("/dev/nsm");
  if (raw.response.length > response.size()) return malformed("/dev/nsm: response of {} bytes", raw.response.length);
  response.resize(static_cast<std::size_t>(raw.response.length));
  return nsm::parse_response(response).in("/dev/nsm");
}

}  // namespace casemate::cli
