// SPDX-License-Identifier: Apache-2.0
// Reads one CBOR item in hexadecimal a line and says `accept` and its content in the notation of cbor_differential.py, or
// `reject`. --any-heads takes heads that are not in their shortest form.
#include <iostream>

#include "base/encoding.h"
#include "cbor/reader.h"

namespace {

using namespace casemate;

Result<std::string> describe(cbor::Reader& reader) {
  const std::size_t begin = reader.offset();
  switch (TRY(reader.peek())) {
    case cbor::Type::kUnsigned: return fmt::format("{}", TRY(reader.read_unsigned()));
    case cbor::Type::kNegative: {
      auto value = reader.read_integer();
      if (value.ok()) return fmt::format("{}", *value);
      TRY(reader.skip());
      return std::string("big");
    }
    case cbor::Type::kBytes: return "h" + encode_hex(TRY(reader.read_bytes()));
    case cbor::Type::kText: return "t" + encode_hex(as_bytes(TRY(reader.read_text())));
    case cbor::Type::kBool: return std::string(TRY(reader.read_bool()) ? "true" : "false");
    case cbor::Type::kNull: TRY(reader.read_null()); return std::string("null");
    case cbor::Type::kArray: {
      std::string out = "[";
      const std::uint64_t count = TRY(reader.read_array());
      for (std::uint64_t i = 0; i < count; ++i) out += TRY(describe(reader)) + ",";
      return out + "]";
    }
    case cbor::Type::kMap: {
      std::string out = "{";
      auto map = TRY(reader.read_map());
      while (TRY(reader.next(map))) {
        out += TRY(describe(reader)) + ":";
        out += TRY(describe(reader)) + ",";
      }
      return out + "}";
    }
    case cbor::Type::kTag: {
      const std::uint64_t tag = TRY(reader.read_tag());
      return fmt::format("{}({})", tag, TRY(describe(reader)));
    }
    case cbor::Type::kUndefined:
    case cbor::Type::kFloat:
    case cbor::Type::kSimple: break;
  }
  TRY(reader.skip());
  return "x" + encode_hex(reader.consumed_since(begin));
}

Result<std::string> run(std::string_view line, const cbor::Limits& limits) {
  const Bytes input = TRY(decode_hex(line));
  cbor::Reader checked(input, limits);
  TRY(checked.skip());
  TRY(checked.finish());
  cbor::Reader reader(input, limits);
  return describe(reader);
}

}  // namespace

int main(int argc, char** argv) {
  cbor::Limits limits;
  if (argc > 1 && std::string_view(argv[1]) == "--any-heads") limits.heads = cbor::HeadForm::kAny;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto result = run(line, limits);
    std::cout << (result.ok() ? "accept " + *result : "reject " + result.error().message()) << '\n';
  }
}
