// SPDX-License-Identifier: Apache-2.0
// libnsm: nsm.h over the NSM codec and NSM_IOCTL_RAW.
#include <cerrno>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "nsm.h"
#include "nsm/ioctl.h"
#include "nsm/message.h"

namespace {

namespace nsm = casemate::nsm;
using casemate::Bytes;
using casemate::ByteView;

static_assert(static_cast<int>(nsm::ErrorCode::kSuccess) == ERROR_CODE_SUCCESS);
static_assert(static_cast<int>(nsm::ErrorCode::kReadOnlyIndex) == ERROR_CODE_READ_ONLY_INDEX);
static_assert(static_cast<int>(nsm::ErrorCode::kInternalError) == ERROR_CODE_INTERNAL_ERROR);

// ask turns every failure of the way there and back into the Error response that AWS's driver layer makes of it.
nsm::Response ask(std::int32_t fd, const nsm::Request& request) {
  const Bytes encoded = nsm::encode_request(request);
  if (encoded.size() > nsm::kMaxRequestBytes) return nsm::ErrorResponse{nsm::ErrorCode::kInputTooLarge};
  Bytes response(nsm::kMaxResponseBytes);
  nsm::RawRequest raw{{reinterpret_cast<std::uint64_t>(encoded.data()), encoded.size()},
             {reinterpret_cast<std::uint64_t>(response.data()), response.size()}};
  int status = 0;
  do {
    status = ioctl(fd, nsm::kIoctlRaw, &raw);
  } while (status != 0 && errno == EINTR);
  if (status != 0) return nsm::ErrorResponse{errno == EMSGSIZE ? nsm::ErrorCode::kInputTooLarge : nsm::ErrorCode::kInternalError};
  if (raw.response.length > response.size()) return nsm::ErrorResponse{nsm::ErrorCode::kInternalError};
  auto parsed = nsm::parse_response(ByteView(response).first(static_cast<std::size_t>(raw.response.length)));
  if (!parsed.ok()) return nsm::ErrorResponse{nsm::ErrorCode::kInternalError};
  return parsed.take();
}

// other is the answer to a response that is not of the wanted kind.
ErrorCode other(const nsm::Response& response) {
  if (const auto* error = std::get_if<nsm::ErrorResponse>(&response)) return static_cast<ErrorCode>(error->code);
  return ERROR_CODE_INVALID_RESPONSE;
}

// give copies as much as fits.
ErrorCode give(const Bytes& bytes, std::uint8_t* out, std::uint32_t* length) {
  if (length == nullptr) return ERROR_CODE_BUFFER_TOO_SMALL;
  if (out == nullptr) {
    *length = 0;
    return ERROR_CODE_BUFFER_TOO_SMALL;
  }
  const std::size_t count = std::min<std::size_t>(bytes.size(), *length);
  std::copy_n(bytes.begin(), count, out);
  *length = static_cast<std::uint32_t>(count);
  return count == bytes.size() ? ERROR_CODE_SUCCESS : ERROR_CODE_BUFFER_TOO_SMALL;
}

std::optional<Bytes> optional_input(const std::uint8_t* data, std::uint32_t size) {
  if (data == nullptr) return std::nullopt;
  return Bytes(data, data + size);
}

}  // namespace

std::int32_t nsm_lib_init(void) { return open("/dev/nsm", O_RDWR | O_CLOEXEC); }

void nsm_lib_exit(std::int32_t fd) { close(fd); }

ErrorCode nsm_extend_pcr(std::int32_t fd, std::uint16_t index, const std::uint8_t* data, std::uint32_t data_len, std::uint8_t* pcr_data,
                         std::uint32_t* pcr_data_len) {
  if (data == nullptr) return ERROR_CODE_INVALID_ARGUMENT;
  const nsm::Response response = ask(fd, nsm::ExtendPcrRequest{index, Bytes(data, data + data_len)});
  const auto* extended = std::get_if<nsm::ExtendPcrResponse>(&response);
  return extended != nullptr ? give(extended->data, pcr_data, pcr_data_len) : other(response);
}

ErrorCode nsm_describe_pcr(std::int32_t fd, std::uint16_t index, bool* lock, std::uint8_t* data, std::uint32_t* data_len) {
  const nsm::Response response = ask(fd, nsm::DescribePcrRequest{index});
  const auto* described = std::get_if<nsm::DescribePcrResponse>(&response);
  if (described == nullptr) return other(response);
  if (lock != nullptr) *lock = described->lock;
  return give(described->data, data, data_len);
}

ErrorCode nsm_lock_pcr(std::int32_t fd, std::uint16_t index) {
  const nsm::Response response = ask(fd, nsm::LockPcrRequest{index});
  return std::holds_alternative<nsm::LockPcrResponse>(response) ? ERROR_CODE_SUCCESS : other(response);
}

ErrorCode nsm_lock_pcrs(std::int32_t fd, std::uint16_t range) {
  const nsm::Response response = ask(fd, nsm::LockPcrsRequest{range});
  return std::holds_alternative<nsm::LockPcrsResponse>(response) ? ERROR_CODE_SUCCESS : other(response);
}

ErrorCode nsm_get_description(std::int32_t fd, NsmDescription* nsm_description) {
  if (nsm_description == nullptr) return ERROR_CODE_INVALID_ARGUMENT;
  const nsm::Response response = ask(fd, nsm::DescribeNsmRequest{});
  const auto* found = std::get_if<nsm::DescribeNsmResponse>(&response);
  if (found == nullptr) return other(response);
  NsmDescription out{};
  out.version_major = found->version_major;
  out.version_minor = found->version_minor;
  out.version_patch = found->version_patch;
  out.max_pcrs = found->max_pcrs;
  const std::size_t id = std::min(found->module_id.size(), sizeof out.module_id - 1);
  std::copy_n(found->module_id.begin(), id, out.module_id);
  out.module_id_len = static_cast<std::uint32_t>(id);
  const std::size_t locked = std::min(found->locked_pcrs.size(), std::size(out.locked_pcrs));
  std::copy_n(found->locked_pcrs.begin(), locked, out.locked_pcrs);
  out.locked_pcrs_len = static_cast<std::uint32_t>(locked);
  if (found->digest == "SHA256") {
    out.digest = DIGEST_SHA256;
  } else if (found->digest == "SHA384") {
    out.digest = DIGEST_SHA384;
  } else if (found->digest == "SHA512") {
    out.digest = DIGEST_SHA512;
  } else {
    return ERROR_CODE_INTERNAL_ERROR;
  }
  *nsm_description = out;
  return ERROR_CODE_SUCCESS;
}

ErrorCode nsm_get_attestation_doc(std::int32_t fd, const std::uint8_t* user_data, std::uint32_t user_data_len, const std::uint8_t* nonce_data,
                                  std::uint32_t nonce_len, const std::uint8_t* pub_key_data, std::uint32_t pub_key_len,
                                  std::uint8_t* att_doc_data, std::uint32_t* att_doc_len) {
  nsm::AttestationRequest request;
  request.user_data = optional_input(user_data, user_data_len);
  request.nonce = optional_input(nonce_data, nonce_len);
  request.public_key = optional_input(pub_key_data, pub_key_len);
  const nsm::Response response = ask(fd, request);
  const auto* attested = std::get_if<nsm::AttestationResponse>(&response);
  return attested != nullptr ? give(attested->document, att_doc_data, att_doc_len) : other(response);
}

ErrorCode nsm_get_random(std::int32_t fd, std::uint8_t* buf, std::uintptr_t* buf_len) {
  if (fd < 0 || buf == nullptr || buf_len == nullptr || *buf_len == 0) return ERROR_CODE_INVALID_ARGUMENT;
  const nsm::Response response = ask(fd, nsm::GetRandomRequest{});
  const auto* random = std::get_if<nsm::GetRandomResponse>(&response);
  if (random == nullptr) return other(response);
  const std::size_t count = std::min<std::size_t>(random->random.size(), *buf_len);
  std::copy_n(random->random.begin(), count, buf);
  *buf_len = count;
  return ERROR_CODE_SUCCESS;
}
