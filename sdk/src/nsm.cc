// SPDX-License-Identifier: Apache-2.0
#include "casemate/nsm.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "base/secret.h"
#include "nsm/message.h"

namespace casemate::nsm {
namespace {

// linux/nsm.h, which Debian 12's headers lack.
struct IoVector {
  std::uint64_t address;
  std::uint64_t length;
};
struct RawMessage {
  IoVector request;
  IoVector response;
};
static_assert(sizeof(RawMessage) == 32);
constexpr unsigned long kIoctlRaw = 0xC0200A00;

Result<Bytes> ask_device(int fd, ByteView request) {
  Bytes response(kMaxResponseBytes);
  RawMessage raw{{reinterpret_cast<std::uintptr_t>(request.data()), request.size()},
                 {reinterpret_cast<std::uintptr_t>(response.data()), response.size()}};
  int result = 0;
  do {
    result = ::ioctl(fd, kIoctlRaw, &raw);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return errno_error("/dev/nsm");
  if (raw.response.length > response.size()) return malformed("/dev/nsm: reply of {} bytes, at most {}", raw.response.length, response.size());
  response.resize(raw.response.length);
  return response;
}

// ask sends one request and expects one kind of reply.
template <typename Reply>
Result<Reply> ask(const Client::Transport& transport, std::string_view name, const Request& request) {
  const std::string step = fmt::format("nsm: {}", name);
  Bytes encoded = encode_request(request);
  if (encoded.size() > kMaxRequestBytes) return over_limit("{}: request of {} bytes, at most {}", step, encoded.size(), kMaxRequestBytes);
  Bytes answered = TRY(transport(encoded).in(step));
  auto parsed = parse_response(answered);
  zeroize(answered.data(), answered.size());
  Response response = TRY(std::move(parsed).in(step));
  if (Reply* reply = std::get_if<Reply>(&response)) return std::move(*reply);
  if (const ErrorResponse* error = std::get_if<ErrorResponse>(&response)) {
    const bool refused = error->code == ErrorCode::kReadOnlyIndex || error->code == ErrorCode::kInvalidOperation;
    return Error(refused ? casemate::ErrorCode::kDenied : casemate::ErrorCode::kMalformed, fmt::format("{}: {}", step, to_string(error->code)));
  }
  return malformed("{}: reply of another kind", step);
}

Result<Client::PcrValue> pcr_value(ByteView bytes) {
  Client::PcrValue value{};
  if (bytes.size() != value.size()) return malformed("nsm: PCR of {} bytes, want {}", bytes.size(), value.size());
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return value;
}

}  // namespace

Result<Client> Client::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO) return not_found("{}: no Nitro Secure Module here: this program runs in an enclave", path);
    return errno_error(path);
  }
  // Shared by the copies of the transport, which std::function makes.
  auto device = std::make_shared<UniqueFd>(std::move(fd));
  return Client([device](ByteView request) { return ask_device(device->get(), request); });
}

Result<Bytes> Client::attest(const Claims& claims) const {
  return TRY(ask<AttestationResponse>(transport_, "Attestation", AttestationRequest{claims.user_data, claims.nonce, claims.public_key})).document;
}

Result<Client::Description> Client::describe() const {
  auto reply = TRY(ask<DescribeNsmResponse>(transport_, "DescribeNSM", DescribeNsmRequest{}));
  return Description{reply.version_major, reply.version_minor, reply.version_patch, std::move(reply.module_id),
                     reply.max_pcrs,      std::move(reply.locked_pcrs), std::move(reply.digest)};
}

Result<Client::Pcr> Client::describe_pcr(std::uint16_t index) const {
  const auto reply = TRY(ask<DescribePcrResponse>(transport_, "DescribePCR", DescribePcrRequest{index}));
  return Pcr{reply.lock, TRY(pcr_value(reply.data))};
}

Result<Client::PcrValue> Client::extend_pcr(std::uint16_t index, ByteView data) const {
  return pcr_value(TRY(ask<ExtendPcrResponse>(transport_, "ExtendPCR", ExtendPcrRequest{index, Bytes(data.begin(), data.end())})).data);
}

Result<void> Client::lock_pcr(std::uint16_t index) const {
  TRY(ask<LockPcrResponse>(transport_, "LockPCR", LockPcrRequest{index}));
  return {};
}

Result<void> Client::lock_pcrs(std::uint16_t range) const {
  TRY(ask<LockPcrsResponse>(transport_, "LockPCRs", LockPcrsRequest{range}));
  return {};
}

Result<Secret> Client::random(std::size_t size) const {
  Secret out = Secret::of_size(size);
  for (std::size_t filled = 0; filled < size;) {
    auto reply = TRY(ask<GetRandomResponse>(transport_, "GetRandom", GetRandomRequest{}));
    if (reply.random.empty()) return malformed("nsm: GetRandom: no bytes");
    const std::size_t count = std::min(reply.random.size(), size - filled);
    std::copy_n(reply.random.begin(), count, out.expose_mutable().begin() + static_cast<std::ptrdiff_t>(filled));
    zeroize(reply.random.data(), reply.random.size());
    filled += count;
  }
  return out;
}

}  // namespace casemate::nsm
