// SPDX-License-Identifier: Apache-2.0
#include "nsm/message.h"

#include <limits>

#include "cbor/reader.h"
#include "cbor/writer.h"

namespace casemate::nsm {
namespace {

using cbor::MapForm;
using cbor::Reader;
using cbor::Writer;

constexpr std::string_view kDescribePcr = "DescribePCR";
constexpr std::string_view kExtendPcr = "ExtendPCR";
constexpr std::string_view kLockPcr = "LockPCR";
constexpr std::string_view kLockPcrs = "LockPCRs";
constexpr std::string_view kDescribeNsm = "DescribeNSM";
constexpr std::string_view kAttestation = "Attestation";
constexpr std::string_view kGetRandom = "GetRandom";
constexpr std::string_view kError = "Error";

// The NSM's own decoder and AWS's libnsm (serde_cbor) take integers and lengths in more bytes than needed.
constexpr cbor::Limits kTolerant{.depth = 16, .heads = cbor::HeadForm::kAny};

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
// clang 14 deduces no aggregates by itself.
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

void write_optional(Writer& writer, std::string_view key, const std::optional<Bytes>& value) {
  writer.text(key);
  if (value) {
    writer.bytes(*value);
  } else {
    writer.null();
  }
}

Result<std::uint16_t> read_u16(Reader& reader) {
  const std::uint64_t value = TRY(reader.read_unsigned());
  if (value > std::numeric_limits<std::uint16_t>::max()) return over_limit("{}, want at most 65535", value);
  return static_cast<std::uint16_t>(value);
}

// read_data takes text where bytes are due, as NSMs do.
Result<Bytes> read_data(Reader& reader) {
  if (TRY(reader.peek()) == cbor::Type::kText) return to_bytes(as_bytes(TRY(reader.read_text())));
  return to_bytes(TRY(reader.read_bytes()));
}

Result<std::optional<Bytes>> read_optional_data(Reader& reader) {
  if (reader.next_is_null()) {
    TRY(reader.read_null());
    return std::optional<Bytes>();
  }
  return std::optional<Bytes>(TRY(read_data(reader)));
}

// read_fields walks one map, gives each entry to `field`, which says whether it knew the key, and skips the others.
template <typename Field>
Result<void> read_fields(Reader& reader, Field&& field) {
  Reader::Map map = TRY(reader.read_map(MapForm::kEither));
  cbor::TextKeys keys;
  while (TRY(reader.next(map))) {
    if (TRY(reader.peek()) != cbor::Type::kText) {
      TRY(reader.skip());
      TRY(reader.skip());
      continue;
    }
    const std::string_view key = TRY(reader.read_text());
    TRY(keys.add(key));
    if (!TRY(field(key))) TRY(reader.skip());
  }
  return {};
}

template <typename T>
Result<T> required(std::optional<T> value, std::string_view name) {
  if (!value) return malformed("{}: missing", name);
  return std::move(*value);
}

Result<std::uint16_t> read_number(Reader& reader, std::string_view name) {
  std::optional<std::uint16_t> number;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key != name) return false;
    number = TRY(read_u16(reader).in(name));
    return true;
  }));
  return required(number, name);
}

Result<Bytes> read_blob(Reader& reader, std::string_view name) {
  std::optional<Bytes> blob;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key != name) return false;
    blob = to_bytes(TRY(reader.read_bytes().in(name)));
    return true;
  }));
  return required(std::move(blob), name);
}

Result<Request> read_extend(Reader& reader) {
  std::optional<std::uint16_t> index;
  std::optional<Bytes> data;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key == "index") {
      index = TRY(read_u16(reader).in("index"));
    } else if (key == "data") {
      data = TRY(read_data(reader).in("data"));
    } else {
      return false;
    }
    return true;
  }));
  ExtendPcrRequest request;
  request.index = TRY(required(index, "index"));
  request.data = TRY(required(std::move(data), "data"));
  return Request(std::move(request));
}

Result<Request> read_attestation(Reader& reader) {
  AttestationRequest request;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key == "user_data") {
      request.user_data = TRY(read_optional_data(reader).in("user_data"));
    } else if (key == "nonce") {
      request.nonce = TRY(read_optional_data(reader).in("nonce"));
    } else if (key == "public_key") {
      request.public_key = TRY(read_optional_data(reader).in("public_key"));
    } else {
      return false;
    }
    return true;
  }));
  return Request(std::move(request));
}

Result<Request> read_request(std::string_view name, Reader& reader) {
  if (name == kDescribePcr) return Request(DescribePcrRequest{TRY(read_number(reader, "index"))});
  if (name == kExtendPcr) return TRY(read_extend(reader));
  if (name == kLockPcr) return Request(LockPcrRequest{TRY(read_number(reader, "index"))});
  if (name == kLockPcrs) return Request(LockPcrsRequest{TRY(read_number(reader, "range"))});
  if (name == kAttestation) return TRY(read_attestation(reader));
  return unsupported("no such request, or not one with fields");
}

// read_variant opens the outer map of one entry and gives its key.
Result<std::string_view> open_variant(Reader& reader, Reader::Map& map) {
  map = TRY(reader.read_map(MapForm::kEither));
  if (!TRY(reader.next(map))) return malformed("empty map, want one entry");
  return reader.read_text();
}

Result<void> close_variant(Reader& reader, Reader::Map& map) {
  if (TRY(reader.next(map))) return malformed("map of several entries, want one");
  return reader.finish();
}

Result<Response> read_describe_pcr(Reader& reader) {
  std::optional<bool> lock;
  std::optional<Bytes> data;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key == "lock") {
      lock = TRY(reader.read_bool().in("lock"));
    } else if (key == "data") {
      data = to_bytes(TRY(reader.read_bytes().in("data")));
    } else {
      return false;
    }
    return true;
  }));
  DescribePcrResponse response;
  response.lock = TRY(required(lock, "lock"));
  response.data = TRY(required(std::move(data), "data"));
  return Response(std::move(response));
}

Result<std::vector<std::uint16_t>> read_locked(Reader& reader) {
  const std::uint64_t count = TRY(reader.read_array());
  std::vector<std::uint16_t> locked;
  locked.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) locked.push_back(TRY(read_u16(reader)));
  return locked;
}

Result<Response> read_describe_nsm(Reader& reader) {
  DescribeNsmResponse response;
  unsigned found = 0;
  TRY(read_fields(reader, [&](std::string_view key) -> Result<bool> {
    if (key == "version_major") {
      response.version_major = TRY(read_u16(reader).in(key));
    } else if (key == "version_minor") {
      response.version_minor = TRY(read_u16(reader).in(key));
    } else if (key == "version_patch") {
      response.version_patch = TRY(read_u16(reader).in(key));
    } else if (key == "module_id") {
      response.module_id = std::string(TRY(reader.read_text().in(key)));
    } else if (key == "max_pcrs") {
      response.max_pcrs = TRY(read_u16(reader).in(key));
    } else if (key == "locked_pcrs") {
      response.locked_pcrs = TRY(read_locked(reader).in(key));
    } else if (key == "digest") {
      response.digest = std::string(TRY(reader.read_text().in(key)));
    } else {
      return false;
    }
    ++found;
    return true;
  }));
  // Keys are unique, so the count says that each was there.
  if (found != 7) return malformed("{} of 7 fields", found);
  return Response(std::move(response));
}

Result<ErrorCode> parse_error_code(std::string_view name) {
  for (auto value = static_cast<std::int32_t>(ErrorCode::kSuccess); value <= static_cast<std::int32_t>(ErrorCode::kInternalError); ++value) {
    if (to_string(static_cast<ErrorCode>(value)) == name) return static_cast<ErrorCode>(value);
  }
  return malformed("unknown error code");
}

Result<Response> read_response(std::string_view name, Reader& reader) {
  if (name == kDescribePcr) return TRY(read_describe_pcr(reader));
  if (name == kExtendPcr) return Response(ExtendPcrResponse{TRY(read_blob(reader, "data"))});
  if (name == kDescribeNsm) return TRY(read_describe_nsm(reader));
  if (name == kAttestation) return Response(AttestationResponse{TRY(read_blob(reader, "document"))});
  if (name == kGetRandom) return Response(GetRandomResponse{TRY(read_blob(reader, "random"))});
  if (name == kError) return Response(ErrorResponse{TRY(parse_error_code(TRY(reader.read_text())))});
  return unsupported("no such response, or not one with fields");
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kSuccess: return "Success";
    case ErrorCode::kInvalidArgument: return "InvalidArgument";
    case ErrorCode::kInvalidIndex: return "InvalidIndex";
    case ErrorCode::kInvalidResponse: return "InvalidResponse";
    case ErrorCode::kReadOnlyIndex: return "ReadOnlyIndex";
    case ErrorCode::kInvalidOperation: return "InvalidOperation";
    case ErrorCode::kBufferTooSmall: return "BufferTooSmall";
    case ErrorCode::kInputTooLarge: return "InputTooLarge";
    case ErrorCode::kInternalError: return "InternalError";
  }
  CASEMATE_CHECK(false);
}

Bytes encode_request(const Request& request) {
  Writer writer;
  std::visit(Overloaded{
                 [&](const DescribePcrRequest& r) { writer.map(1).text(kDescribePcr).map(1).text("index").unsigned_integer(r.index); },
                 [&](const ExtendPcrRequest& r) {
                   writer.map(1).text(kExtendPcr).map(2).text("index").unsigned_integer(r.index).text("data").bytes(r.data);
                 },
                 [&](const LockPcrRequest& r) { writer.map(1).text(kLockPcr).map(1).text("index").unsigned_integer(r.index); },
                 [&](const LockPcrsRequest& r) { writer.map(1).text(kLockPcrs).map(1).text("range").unsigned_integer(r.range); },
                 [&](const DescribeNsmRequest&) { writer.text(kDescribeNsm); },
                 [&](const AttestationRequest& r) {
                   writer.map(1).text(kAttestation).map(3);
                   write_optional(writer, "user_data", r.user_data);
                   write_optional(writer, "nonce", r.nonce);
                   write_optional(writer, "public_key", r.public_key);
                 },
                 [&](const GetRandomRequest&) { writer.text(kGetRandom); },
             },
             request);
  return writer.take();
}

Result<Request> parse_request(ByteView input) {
  Reader reader(input, kTolerant);
  if (TRY(reader.peek()) == cbor::Type::kText) {
    const std::string_view name = TRY(reader.read_text());
    TRY(reader.finish());
    if (name == kDescribeNsm) return Request(DescribeNsmRequest{});
    if (name == kGetRandom) return Request(GetRandomRequest{});
    return unsupported("no such request, or one that has fields");
  }
  Reader::Map map;
  const std::string_view name = TRY(open_variant(reader, map));
  Request request = TRY(read_request(name, reader));
  TRY(close_variant(reader, map));
  return request;
}

Bytes encode_response(const Response& response) {
  Writer writer;
  std::visit(Overloaded{
                 [&](const DescribePcrResponse& r) { writer.map(1).text(kDescribePcr).map(2).text("lock").boolean(r.lock).text("data").bytes(r.data); },
                 [&](const ExtendPcrResponse& r) { writer.map(1).text(kExtendPcr).map(1).text("data").bytes(r.data); },
                 [&](const LockPcrResponse&) { writer.text(kLockPcr); },
                 [&](const LockPcrsResponse&) { writer.text(kLockPcrs); },
                 [&](const DescribeNsmResponse& r) {
                   writer.map(1).text(kDescribeNsm).map(7);
                   writer.text("version_major").unsigned_integer(r.version_major);
                   writer.text("version_minor").unsigned_integer(r.version_minor);
                   writer.text("version_patch").unsigned_integer(r.version_patch);
                   writer.text("module_id").text(r.module_id).text("max_pcrs").unsigned_integer(r.max_pcrs);
                   writer.text("locked_pcrs").array(r.locked_pcrs.size());
                   for (const std::uint16_t index : r.locked_pcrs) writer.unsigned_integer(index);
                   writer.text("digest").text(r.digest);
                 },
                 [&](const AttestationResponse& r) { writer.map(1).text(kAttestation).map(1).text("document").bytes(r.document); },
                 [&](const GetRandomResponse& r) { writer.map(1).text(kGetRandom).map(1).text("random").bytes(r.random); },
                 [&](const ErrorResponse& r) { writer.map(1).text(kError).text(to_string(r.code)); },
             },
             response);
  return writer.take();
}

Result<Response> parse_response(ByteView input) {
  Reader reader(input, kTolerant);
  if (TRY(reader.peek()) == cbor::Type::kText) {
    const std::string_view name = TRY(reader.read_text());
    TRY(reader.finish());
    if (name == kLockPcr) return Response(LockPcrResponse{});
    if (name == kLockPcrs) return Response(LockPcrsResponse{});
    return unsupported("no such response, or one that has fields");
  }
  Reader::Map map;
  const std::string_view name = TRY(open_variant(reader, map));
  Response response = TRY(read_response(name, reader));
  TRY(close_variant(reader, map));
  return response;
}

}  // namespace casemate::nsm
