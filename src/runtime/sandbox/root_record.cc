// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/root_record.h"

#include <algorithm>

namespace casemate::runtime::sandbox {
namespace {

constexpr std::string_view kMagic = "casemate root 1";
constexpr std::size_t kSumBytes = 32;

template <std::size_t N>
Result<void> read_into(ByteReader& in, std::array<std::uint8_t, N>& out) {
  const ByteView bytes = TRY(in.read(N));
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return {};
}

}  // namespace

Bytes encode_root_record(const RootRecord& record) {
  Bytes out;
  append(out, as_bytes(kMagic));
  append(out, record.boot);
  append(out, record.key);
  append_be<8>(out, record.entries);
  append_be<8>(out, record.bytes);
  append(out, record.tree);
  append_lists(out, record.lists);
  append(out, crypto::sha256(out));
  return out;
}

Result<RootRecord> parse_root_record(ByteView input) {
  if (input.size() < kMagic.size() + kSumBytes) return malformed("root record: {} bytes", input.size());
  const ByteView content = input.first(input.size() - kSumBytes);
  if (!equal(crypto::sha256(content), input.last(kSumBytes))) return malformed("root record: its checksum is of other content");
  ByteReader in(content);
  if (as_text(TRY(in.read(kMagic.size()))) != kMagic) return unsupported("root record: another version");
  RootRecord record;
  TRY(read_into(in, record.boot));
  TRY(read_into(in, record.key));
  record.entries = TRY(in.read_u64());
  record.bytes = TRY(in.read_u64());
  TRY(read_into(in, record.tree));
  record.lists = TRY(read_lists(in));
  if (!in.empty()) return malformed("root record: {} bytes after its end", in.rest().size());
  return record;
}

}  // namespace casemate::runtime::sandbox
