// SPDX-License-Identifier: Apache-2.0
// The client's side of NSM. A hostile answer either parses to something that is written and read the same, or is an
// error; and every call of libnsm on it ends in one of its codes, with no byte beyond the caller's buffer.
#include <algorithm>
#include <cstdarg>
#include <memory>

#include "nsm.h"
#include "nsm/message.h"

using namespace casemate;

namespace {

ByteView g_answer;

struct Raw {
  std::uint64_t request;
  std::uint64_t request_size;
  std::uint64_t response;
  std::uint64_t response_size;
};

// Buffer has exactly the capacity that a call is told, so that the sanitizer sees the first byte beyond it.
struct Buffer {
  explicit Buffer(std::size_t wanted) : bytes(std::make_unique<std::uint8_t[]>(wanted)), size(static_cast<std::uint32_t>(wanted)), capacity(size) {}
  std::unique_ptr<std::uint8_t[]> bytes;
  std::uint32_t size;
  const std::uint32_t capacity;
};

void check(::ErrorCode code, const Buffer& out, bool answered) {
  CASEMATE_CHECK(code >= ERROR_CODE_SUCCESS && code <= ERROR_CODE_INTERNAL_ERROR);
  CASEMATE_CHECK(out.size <= out.capacity);
  if (answered) CASEMATE_CHECK(code == ERROR_CODE_SUCCESS || (code == ERROR_CODE_BUFFER_TOO_SMALL && out.size == out.capacity));
  // An Error response may name any code, success too: that is what AWS's library makes of it.
  if (!answered) CASEMATE_CHECK(out.size == out.capacity);
}

void call_everything(const nsm::Response* response, std::size_t capacity) {
  constexpr std::int32_t kFd = 5;
  const std::uint8_t data[] = {1};
  {
    Buffer out(capacity);
    check(nsm_extend_pcr(kFd, 16, data, sizeof data, out.bytes.get(), &out.size), out, response != nullptr && std::holds_alternative<nsm::ExtendPcrResponse>(*response));
  }
  {
    Buffer out(capacity);
    bool lock = false;
    check(nsm_describe_pcr(kFd, 16, &lock, out.bytes.get(), &out.size), out, response != nullptr && std::holds_alternative<nsm::DescribePcrResponse>(*response));
  }
  {
    Buffer out(capacity);
    check(nsm_get_attestation_doc(kFd, nullptr, 0, data, 1, data, 0, out.bytes.get(), &out.size), out,
          response != nullptr && std::holds_alternative<nsm::AttestationResponse>(*response));
  }
  {
    Buffer out(capacity + 1);
    std::uintptr_t size = capacity + 1;
    nsm_get_random(kFd, out.bytes.get(), &size);
    CASEMATE_CHECK(size <= capacity + 1);
  }
  const auto description = std::make_unique<NsmDescription>();
  if (nsm_get_description(kFd, description.get()) == ERROR_CODE_SUCCESS && response != nullptr && std::holds_alternative<nsm::DescribeNsmResponse>(*response)) {
    CASEMATE_CHECK(description->module_id_len < sizeof description->module_id && description->module_id[description->module_id_len] == 0);
    CASEMATE_CHECK(description->locked_pcrs_len <= std::size(description->locked_pcrs));
  }
  nsm_lock_pcr(kFd, 16);
  nsm_lock_pcrs(kFd, 32);
}

}  // namespace

// Takes the place of ioctl(2) in libnsm: cuts the answer to the buffer, as the driver does.
extern "C" int __wrap_ioctl(int, unsigned long command, ...) {
  va_list arguments;
  va_start(arguments, command);
  auto* raw = va_arg(arguments, Raw*);
  va_end(arguments);
  const std::size_t count = std::min<std::size_t>(g_answer.size(), static_cast<std::size_t>(raw->response_size));
  std::copy_n(g_answer.begin(), count, reinterpret_cast<std::uint8_t*>(raw->response));
  raw->response_size = count;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  g_answer = ByteView(data, std::min(size, nsm::kMaxResponseBytes));
  const auto response = nsm::parse_response(g_answer);
  if (response.ok()) {
    const Bytes written = nsm::encode_response(*response);
    const auto again = nsm::parse_response(written);
    CASEMATE_CHECK(again.ok() && again->index() == response->index() && nsm::encode_response(*again) == written);
  }
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{17}, nsm::kMaxResponseBytes}) call_everything(response.ok() ? &*response : nullptr, capacity);
  return 0;
}
