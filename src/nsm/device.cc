// SPDX-License-Identifier: Apache-2.0
#include "nsm/device.h"

namespace casemate::nsm {
namespace {

std::optional<ByteView> view_of(const std::optional<Bytes>& bytes) {
  return bytes ? std::optional<ByteView>(*bytes) : std::nullopt;
}

Response error(ErrorCode code) { return ErrorResponse{code}; }

}  // namespace

Device::Device(Parts parts) : parts_(std::move(parts)) {
  CASEMATE_CHECK(parts_.signers != nullptr && parts_.clock != nullptr && parts_.rng != nullptr);
}

PcrBank Device::pcrs() const {
  const std::lock_guard lock(mutex_);
  return parts_.pcrs;
}

Bytes Device::handle(ByteView input) {
  if (input.size() > kMaxRequestBytes) return encode_response(error(ErrorCode::kInputTooLarge));
  const auto request = parse_request(input);
  if (!request.ok()) return encode_response(error(ErrorCode::kInvalidOperation));
  Bytes response = encode_response(answer(*request));
  // Only a document can be too large: of what the caller put into it, hence the code.
  if (response.size() > kMaxResponseBytes) return encode_response(error(ErrorCode::kInputTooLarge));
  return response;
}

Response Device::answer(const Request& request) {
  if (const auto* attestation = std::get_if<AttestationRequest>(&request)) return attest(*attestation);
  if (std::holds_alternative<GetRandomRequest>(request)) {
    GetRandomResponse response{Bytes(kRandomBytes)};
    parts_.rng->fill(response.random);
    return response;
  }
  const std::lock_guard lock(mutex_);
  if (const auto* describe = std::get_if<DescribePcrRequest>(&request)) {
    PcrBank::Register found;
    const ErrorCode code = parts_.pcrs.describe(describe->index, found);
    if (code != ErrorCode::kSuccess) return error(code);
    return DescribePcrResponse{found.locked, to_bytes(found.value)};
  }
  if (const auto* extend = std::get_if<ExtendPcrRequest>(&request)) {
    PcrValue value;
    const ErrorCode code = parts_.pcrs.extend(extend->index, extend->data, value);
    if (code != ErrorCode::kSuccess) return error(code);
    return ExtendPcrResponse{to_bytes(value)};
  }
  if (const auto* one = std::get_if<LockPcrRequest>(&request)) {
    const ErrorCode code = parts_.pcrs.lock(one->index);
    return code == ErrorCode::kSuccess ? Response(LockPcrResponse{}) : error(code);
  }
  if (const auto* range = std::get_if<LockPcrsRequest>(&request)) {
    const ErrorCode code = parts_.pcrs.lock_range(range->range);
    return code == ErrorCode::kSuccess ? Response(LockPcrsResponse{}) : error(code);
  }
  DescribeNsmResponse response;
  response.module_id = parts_.module_id;
  response.locked_pcrs = parts_.pcrs.locked();
  return response;
}

Response Device::attest(const AttestationRequest& request) {
  const WallTime now = parts_.clock->now();
  const auto signer = parts_.signers->signer(now);
  if (!signer.ok()) return error(ErrorCode::kInternalError);
  attestation::Statement statement;
  statement.module_id = parts_.module_id;
  statement.timestamp = now;
  statement.public_key = view_of(request.public_key);
  statement.user_data = view_of(request.user_data);
  statement.nonce = view_of(request.nonce);
  statement.pcrs = pcrs().attested();
  return AttestationResponse{attestation::create(statement, **signer, *parts_.rng, parts_.form)};
}

}  // namespace casemate::nsm
