// SPDX-License-Identifier: Apache-2.0
// NSM requests and responses: CBOR of the NSM API's externally tagged enums (a unit variant is a text string, any other
// a map of one entry). Reader and writer of both directions.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace casemate::nsm {

inline constexpr std::size_t kMaxRequestBytes = 0x1000;
inline constexpr std::size_t kMaxResponseBytes = 0x3000;
inline constexpr std::size_t kPcrBytes = 48;
inline constexpr std::size_t kRandomBytes = 256;

using PcrValue = std::array<std::uint8_t, kPcrBytes>;

struct DescribePcrRequest {
  std::uint16_t index = 0;
};
struct ExtendPcrRequest {
  std::uint16_t index = 0;
  Bytes data;
};
struct LockPcrRequest {
  std::uint16_t index = 0;
};
struct LockPcrsRequest {
  std::uint16_t range = 0;  // locks 0 .. range-1
};
struct DescribeNsmRequest {};
struct AttestationRequest {
  std::optional<Bytes> user_data;
  std::optional<Bytes> nonce;
  std::optional<Bytes> public_key;
};
struct GetRandomRequest {};

using Request = std::variant<DescribePcrRequest, ExtendPcrRequest, LockPcrRequest, LockPcrsRequest, DescribeNsmRequest,
                             AttestationRequest, GetRandomRequest>;

// ErrorCode values are those of AWS's C API.
enum class ErrorCode : std::int32_t {
  kSuccess = 0,
  kInvalidArgument = 1,
  kInvalidIndex = 2,
  kInvalidResponse = 3,
  kReadOnlyIndex = 4,
  kInvalidOperation = 5,
  kBufferTooSmall = 6,
  kInputTooLarge = 7,
  kInternalError = 8,
};
std::string_view to_string(ErrorCode code);  // "InvalidIndex"

struct DescribePcrResponse {
  bool lock = false;
  Bytes data;
};
struct ExtendPcrResponse {
  Bytes data;  // the new value
};
struct LockPcrResponse {};
struct LockPcrsResponse {};
struct DescribeNsmResponse {
  std::uint16_t version_major = 1;
  std::uint16_t version_minor = 0;
  std::uint16_t version_patch = 0;
  std::string module_id;
  std::uint16_t max_pcrs = 32;
  std::vector<std::uint16_t> locked_pcrs;  // ascending
  std::string digest = "SHA384";
};
struct AttestationResponse {
  Bytes document;
};
struct GetRandomResponse {
  Bytes random;
};
struct ErrorResponse {
  ErrorCode code = ErrorCode::kInternalError;
};

using Response = std::variant<DescribePcrResponse, ExtendPcrResponse, LockPcrResponse, LockPcrsResponse, DescribeNsmResponse,
                              AttestationResponse, GetRandomResponse, ErrorResponse>;

Bytes encode_request(const Request& request);

// parse_request is as tolerant as NSMs are: inner keys in any order, unknown ones, maps of either form, text where bytes
// are due, optional keys missing, integers and lengths not in their shortest form. Errors: kMalformed, kUnsupported
// (unknown request).
Result<Request> parse_request(ByteView input);

Bytes encode_response(const Response& response);

// parse_response takes keys in any order, ignores unknown ones and takes integers in any form. Errors: kMalformed, kUnsupported, kLimit (an
// integer beyond its field).
Result<Response> parse_response(ByteView input);

}  // namespace casemate::nsm
