// SPDX-License-Identifier: Apache-2.0
// What the reader accepts is the one encoding of its content: written again item by item it is the same bytes. With heads
// of any form it accepts that and more, and writing it again gives the one encoding.
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
  constexpr cbor::Limits kAny{.depth = 16, .heads = cbor::HeadForm::kAny};
  cbor::Reader strict(input);
  cbor::Reader tolerant(input, kAny);
  const bool canonical = strict.skip().ok();
  if (!tolerant.skip().ok()) {
    CASEMATE_CHECK(!canonical);
    return 0;
  }
  const ByteView item = tolerant.consumed_since(0);
  cbor::Reader again(item, kAny);
  cbor::Writer writer;
  copy(again, writer);
  CASEMATE_CHECK(again.finish().ok());
  CASEMATE_CHECK(writer.view().size() <= item.size());
  if (canonical) {
    CASEMATE_CHECK(equal(writer.view(), item));
    return 0;
  }
  cbor::Reader written(writer.view());
  const auto reread = written.skip();
  // Two forms of one key are one key once written.
  CASEMATE_CHECK(reread.ok() ? written.finish().ok() : reread.error().message().find("twice") != std::string::npos);
  return 0;
}
