// SPDX-License-Identifier: Apache-2.0
// The return codes of every call on NULL, empty and short buffers, and on answers that are not what was asked.
#include <cerrno>
#include <cstdarg>
#include <unistd.h>

#include <functional>

#include "attestation/hierarchy.h"
#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "nsm.h"
#include "nsm/device.h"

namespace {

namespace attestation = casemate::attestation;
namespace crypto = casemate::crypto;
namespace nsm = casemate::nsm;
using casemate::Bytes;
using casemate::ByteView;
using casemate::FixedClock;
using casemate::WallTime;

constexpr int kFd = 7777;

struct Raw {
  std::uint64_t request;
  std::uint64_t request_size;
  std::uint64_t response;
  std::uint64_t response_size;
};

std::function<int(ByteView request, Bytes& response)> g_device;
unsigned long g_command = 0;

}  // namespace

// Takes the place of ioctl(2) in libnsm.
extern "C" int __wrap_ioctl(int fd, unsigned long command, ...) {
  va_list arguments;
  va_start(arguments, command);
  auto* raw = va_arg(arguments, Raw*);
  va_end(arguments);
  g_command = command;
  if (fd != kFd) {
    errno = EBADF;
    return -1;
  }
  Bytes response;
  const int error = g_device(ByteView(reinterpret_cast<const std::uint8_t*>(raw->request), raw->request_size), response);
  if (error != 0) {
    errno = error;
    return -1;
  }
  const std::size_t count = std::min<std::size_t>(response.size(), raw->response_size);
  std::copy_n(response.begin(), count, reinterpret_cast<std::uint8_t*>(raw->response));
  raw->response_size = count;
  return 0;
}

namespace {

class Libnsm : public testing::Test {
 protected:
  Libnsm() : hierarchy_(attestation::Hierarchy::create({}, clock_.now(), rng_)) {
    nsm::Device::Parts parts;
    parts.module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    parts.signers = std::make_unique<attestation::LeafIssuer>(attestation::fixed_issuer(hierarchy_, parts.module_id, rng_));
    parts.clock = &clock_;
    parts.rng = &rng_;
    device_ = std::make_unique<nsm::Device>(std::move(parts));
    g_device = [this](ByteView request, Bytes& response) {
      response = device_->handle(request);
      return 0;
    };
  }
  static void answer(const nsm::Response& response) {
    g_device = [response](ByteView, Bytes& out) {
      out = nsm::encode_response(response);
      return 0;
    };
  }

  FixedClock clock_{WallTime(std::chrono::milliseconds(1765000000123))};
  crypto::SystemRng rng_;
  attestation::Hierarchy hierarchy_;
  std::unique_ptr<nsm::Device> device_;
};

TEST_F(Libnsm, DescribesTheNsm) {
  NsmDescription description{};
  EXPECT_EQ(nsm_get_description(kFd, &description), ERROR_CODE_SUCCESS);
  EXPECT_EQ(g_command, 0xC0200A00UL);
  EXPECT_STREQ(reinterpret_cast<const char*>(description.module_id), "i-0123456789abcdef0-enc0123456789abcdef");
  EXPECT_EQ(description.module_id_len, 39U);
  EXPECT_EQ(description.version_major, 1);
  EXPECT_EQ(description.max_pcrs, 32);
  EXPECT_EQ(description.locked_pcrs_len, 16U);
  EXPECT_EQ(description.locked_pcrs[15], 15);
  EXPECT_EQ(description.digest, DIGEST_SHA384);
}

TEST_F(Libnsm, CutsALongModuleId) {
  nsm::DescribeNsmResponse response;
  response.module_id = std::string(150, 'm');
  response.locked_pcrs.assign(100, 1);
  answer(response);
  NsmDescription description{};
  EXPECT_EQ(nsm_get_description(kFd, &description), ERROR_CODE_SUCCESS);
  EXPECT_EQ(description.module_id_len, 99U);
  EXPECT_EQ(description.module_id[99], 0);
  EXPECT_EQ(description.locked_pcrs_len, 64U);
}

TEST_F(Libnsm, ExtendsLocksAndDescribesPcrs) {
  const std::uint8_t data[] = {1, 2, 3};
  std::uint8_t value[64] = {};
  std::uint32_t size = sizeof value;
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, data, 3, value, &size), ERROR_CODE_SUCCESS);
  EXPECT_EQ(size, 48U);
  EXPECT_EQ(value[0], 0xcb);
  bool lock = true;
  size = 48;
  EXPECT_EQ(nsm_describe_pcr(kFd, 16, &lock, value, &size), ERROR_CODE_SUCCESS);
  EXPECT_FALSE(lock);
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_SUCCESS);
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_READ_ONLY_INDEX);
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, data, 3, value, &size), ERROR_CODE_READ_ONLY_INDEX);
  EXPECT_EQ(nsm_describe_pcr(kFd, 32, &lock, value, &size), ERROR_CODE_INVALID_INDEX);
  EXPECT_EQ(nsm_lock_pcrs(kFd, 33), ERROR_CODE_INVALID_INDEX);
  EXPECT_EQ(nsm_lock_pcrs(kFd, 32), ERROR_CODE_SUCCESS);
}

TEST_F(Libnsm, TellsOfBuffersThatAreTooSmall) {
  const std::uint8_t data[] = {1, 2, 3};
  std::uint8_t value[64] = {};
  std::uint32_t size = 10;
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, data, 3, value, &size), ERROR_CODE_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, 10U);
  EXPECT_EQ(value[0], 0xcb);
  size = 64;
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, data, 3, nullptr, &size), ERROR_CODE_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, nullptr, 0, value, &size), ERROR_CODE_INVALID_ARGUMENT);
  std::uint8_t document[100];
  size = sizeof document;
  EXPECT_EQ(nsm_get_attestation_doc(kFd, nullptr, 0, nullptr, 0, nullptr, 0, document, &size), ERROR_CODE_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, sizeof document);
  EXPECT_EQ(document[0], 0x84);
  size = 100;
  EXPECT_EQ(nsm_get_attestation_doc(kFd, nullptr, 0, nullptr, 0, nullptr, 0, nullptr, &size), ERROR_CODE_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, 0U);
}

TEST_F(Libnsm, TellsNullFromEmpty) {
  nsm::AttestationRequest seen;
  g_device = [&seen](ByteView request, Bytes& out) {
    seen = std::get<nsm::AttestationRequest>(nsm::parse_request(request).take());
    out = nsm::encode_response(nsm::AttestationResponse{{1}});
    return 0;
  };
  std::uint8_t document[16384];
  std::uint32_t size = sizeof document;
  const std::uint8_t byte = 9;
  EXPECT_EQ(nsm_get_attestation_doc(kFd, nullptr, 5, &byte, 0, &byte, 1, document, &size), ERROR_CODE_SUCCESS);
  EXPECT_EQ(size, 1U);
  EXPECT_FALSE(seen.user_data.has_value());
  EXPECT_EQ(seen.nonce, Bytes());
  EXPECT_EQ(seen.public_key, Bytes{9});
}

TEST_F(Libnsm, GivesRandomBytesThatFit) {
  std::uint8_t buffer[300] = {};
  std::uintptr_t size = sizeof buffer;
  EXPECT_EQ(nsm_get_random(kFd, buffer, &size), ERROR_CODE_SUCCESS);
  EXPECT_EQ(size, 256U);
  size = 10;
  EXPECT_EQ(nsm_get_random(kFd, buffer, &size), ERROR_CODE_SUCCESS);
  EXPECT_EQ(size, 10U);
  size = 0;
  EXPECT_EQ(nsm_get_random(kFd, buffer, &size), ERROR_CODE_INVALID_ARGUMENT);
  size = 10;
  EXPECT_EQ(nsm_get_random(kFd, nullptr, &size), ERROR_CODE_INVALID_ARGUMENT);
  EXPECT_EQ(nsm_get_random(kFd, buffer, nullptr), ERROR_CODE_INVALID_ARGUMENT);
  EXPECT_EQ(nsm_get_random(-1, buffer, &size), ERROR_CODE_INVALID_ARGUMENT);
}

TEST_F(Libnsm, RefusesRequestsBeyondTheLimitItself) {
  g_device = [](ByteView, Bytes&) {
    ADD_FAILURE() << "reached the device";
    return EIO;
  };
  const Bytes large(0x1000);
  std::uint8_t value[64];
  std::uint32_t size = sizeof value;
  EXPECT_EQ(nsm_extend_pcr(kFd, 16, large.data(), 0x1000, value, &size), ERROR_CODE_INPUT_TOO_LARGE);
}

TEST_F(Libnsm, TranslatesErrnoAndStrangeAnswers) {
  g_device = [](ByteView, Bytes&) { return EMSGSIZE; };
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_INPUT_TOO_LARGE);
  g_device = [](ByteView, Bytes&) { return EIO; };
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_INTERNAL_ERROR);
  g_device = [](ByteView, Bytes& out) {
    out = {0x67, 'L', 'o', 'c', 'k', 'P', 'C', 'R', 0};
    return 0;
  };
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_INTERNAL_ERROR);
  answer(nsm::LockPcrsResponse{});
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_INVALID_RESPONSE);
  answer(nsm::ErrorResponse{nsm::ErrorCode::kInvalidOperation});
  EXPECT_EQ(nsm_lock_pcr(kFd, 16), ERROR_CODE_INVALID_OPERATION);
  EXPECT_EQ(nsm_lock_pcr(-1, 16), ERROR_CODE_INTERNAL_ERROR);
}

TEST_F(Libnsm, HasNoDeviceOutsideAnEnclave) {
  if (access("/dev/nsm", F_OK) == 0) GTEST_SKIP() << "there is a /dev/nsm here";
  EXPECT_EQ(nsm_lib_init(), -1);
}

}  // namespace
