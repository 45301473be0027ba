// SPDX-License-Identifier: Apache-2.0
// What the reader accepts is the one encoding of its content: written again item by item it is the same bytes.
#include "base/check.h"
#include "cbor/reader.h"
#include "cbor/writer.h"

namespace {

using namespace casemate;

// copy rebuilds the item that skip() accepted; floats and simple values are copied as they are.
void copy(cbor::Reader& in, cbor::Writer& out) {
  const std::size_t begin = in.offset();
  switch (in.peek().take()) {
    case cbor::Type::kUnsigned: out.unsigned_integer(in.read_unsigned().take()); return;
    case cbor::Type::kNegative: {
      const auto value = in.read_integer();
      if (value.ok()) {
        out.integer(*value);
        return;
      }
      CASEMATE_CHECK(value.error().code() == ErrorCode::kLimit);
      break;
    }
    case cbor::Type::kBytes: out.bytes(in.read_bytes().take()); return;
    case cbor::Type::kText: out.text(in.read_text().take()); return;
    case cbor::Type::kTag:
      out.tag(in.read_tag().take());
      copy(in, out);
      return;
    case cbor::Type::kArray: {
      const std::uint64_t count = in.read_array().take();
      out.array(count);
      for (std::uint64_t i = 0; i < count; ++i) copy(in, out);
      return;
    }
    case cbor::Type::kMap: {
      auto map = in.read_map().take();
      out.map(*map.left);
      while (in.next(map).take()) {
        copy(in, out);
        copy(in, out);
      }
      return;
    }
    case cbor::Type::kBool: out.boolean(in.read_bool().take()); return;
    case cbor::Type::kNull:
      in.read_null().take();
      out.null();
      return;
    case cbor::Type::kUndefined:
    case cbor::Type::kFloat:
    case cbor::Type::kSimple: break;
  }
  CASEMATE_CHECK(in.skip().ok());
  out.encoded(in.consumed_since(begin));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  cbor::Reader reader(input);
  if (!reader.skip().ok()) return 0;
  const ByteView item = reader.consumed_since(0);
  cbor::Reader again(item);
  cbor::Writer writer;
  copy(again, writer);
  CASEMATE_CHECK(again.finish().ok());
  CASEMATE_CHECK(equal(writer.view(), item));
  return 0;
}
