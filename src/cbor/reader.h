// SPDX-License-Identifier: Apache-2.0
// CBOR pull reader: RFC 8949 restricted to what COSE, attestation documents and the NSM protocol use.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace casemate::cbor {

enum class Type { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kBool, kNull, kUndefined, kFloat, kSimple };

std::string_view to_string(Type type);

// MapForm: NSMs write their documents with an indefinite-length map since 2025. Only where a caller says so is that
// form accepted; strings and arrays are always definite.
enum class MapForm { kDefinite, kEither };

// HeadForm: integers and lengths in the fewest bytes that hold them (RFC 8949, 4.1), or in any number of them, as NSMs
// take their requests. kAny finds a duplicate key in skip() only where it is written the same twice.
enum class HeadForm { kShortest, kAny };

struct Limits {
  // Nesting of arrays, maps and tags; documents need 3. Bounds the recursion of skip().
  std::size_t depth = 16;
  HeadForm heads = HeadForm::kShortest;
};

// Reader consumes a view front to back. Heads must be in the form of the limits; a count or length beyond the input is
// refused before anything is allocated; text must be UTF-8. A failed read leaves the reader where it was, except in
// skip(). Views alias the input. Errors: kMalformed with the offset, kLimit for depth.
class Reader {
 public:
  explicit Reader(ByteView input, Limits limits = {}) : input_(input), limits_(limits) {}

  std::size_t offset() const { return at_; }
  bool at_end() const { return at_ == input_.size(); }
  // consumed_since gives the bytes from an earlier offset() to here, as they were received.
  ByteView consumed_since(std::size_t offset) const { return input_.subspan(offset, at_ - offset); }

  // peek tells the type of the next item without consuming it.
  Result<Type> peek() const;
  // next_is_null is false at the end of the input.
  bool next_is_null() const;

  Result<std::uint64_t> read_unsigned();
  Result<std::int64_t> read_integer();  // kLimit outside int64
  Result<ByteView> read_bytes();
  Result<std::string_view> read_text();
  Result<bool> read_bool();
  Result<void> read_null();
  Result<std::uint64_t> read_tag();
  // read_array gives the count of items that follow.
  Result<std::uint64_t> read_array();

  // Map is a cursor over the entries of one map: `while (TRY(reader.next(map)))` read a key, then a value.
  struct Map {
    std::optional<std::uint64_t> left;  // absent in the indefinite form
    bool indefinite() const { return !left.has_value(); }
  };
  Result<Map> read_map(MapForm form = MapForm::kDefinite);
  // next is false once, after the last entry; it consumes the break of the indefinite form.
  Result<bool> next(Map& map);

  // skip consumes one well-formed item of any type and refuses duplicate keys in the maps inside it.
  Result<void> skip();

  // finish fails if bytes are left.
  Result<void> finish() const;

 private:
  struct Head {
    std::uint8_t major;
    std::uint8_t info;
    std::uint64_t value;
    std::size_t size;
  };
  Result<Head> head() const;
  Result<Head> head_of(std::uint8_t major, std::string_view wanted) const;
  Result<void> check_count(const Head& head, std::size_t per_item) const;
  Result<ByteView> read_string(std::uint8_t major, std::string_view wanted);
  Result<void> skip_at(std::size_t depth);
  std::size_t left() const { return input_.size() - at_; }

  ByteView input_;
  std::size_t at_ = 0;
  Limits limits_;
};

// TextKeys collects the text keys of one map and refuses the second of a kind. Views must outlive it.
class TextKeys {
 public:
  Result<void> add(std::string_view key);

 private:
  std::vector<std::string_view> seen_;
};

// find_invalid_utf8 gives the offset of the first byte that is not part of well-formed UTF-8 (RFC 3629).
std::optional<std::size_t> find_invalid_utf8(ByteView text);

}  // namespace casemate::cbor
