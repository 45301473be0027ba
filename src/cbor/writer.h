// SPDX-License-Identifier: Apache-2.0
// CBOR writer with the deterministic heads of RFC 8949, 4.2.1. Counts and the order of map keys are the caller's: AWS's
// formats fix an order of their own.
#pragma once

#include <string_view>

#include "base/bytes.h"

namespace casemate::cbor {

class Writer {
 public:
  Writer& unsigned_integer(std::uint64_t value);
  Writer& integer(std::int64_t value);
  Writer& bytes(ByteView value);
  Writer& text(std::string_view value);
  Writer& array(std::uint64_t count);
  Writer& map(std::uint64_t count);
  Writer& indefinite_map();
  Writer& end_indefinite();
  Writer& tag(std::uint64_t number);
  Writer& boolean(bool value);
  Writer& null();
  // bytes_head begins a byte string whose content the caller hashes or sends itself.
  Writer& bytes_head(std::uint64_t size);
  // encoded appends an item that is encoded already.
  Writer& encoded(ByteView item);

  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  const Bytes& view() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  void head(std::uint8_t major, std::uint64_t value);
  Bytes out_;
};

}  // namespace casemate::cbor
