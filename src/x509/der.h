// SPDX-License-Identifier: Apache-2.0
// DER (X.690) as certificates use it: a strict reader over a view and functions that make elements.
#pragma once

#include <initializer_list>
#include <string_view>

#include "base/bytes.h"

namespace casemate::x509::der {

enum Tag : std::uint8_t {
  kBoolean = 0x01,
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kOid = 0x06,
  kUtf8String = 0x0c,
  kPrintableString = 0x13,
  kIa5String = 0x16,
  kUtcTime = 0x17,
  kGeneralizedTime = 0x18,
  kSequence = 0x30,
  kSet = 0x31,
};
constexpr std::uint8_t context(std::uint8_t number) { return static_cast<std::uint8_t>(0x80 | number); }
constexpr std::uint8_t context_constructed(std::uint8_t number) { return static_cast<std::uint8_t>(0xa0 | number); }

// Element: one tag-length-value; views alias the input.
struct Element {
  std::uint8_t tag = 0;
  ByteView content;
  ByteView whole;
};

// Reader walks the elements of a view. Multi-byte tags, indefinite and non-shortest lengths and lengths beyond the view
// are refused (X.690, 10.1). Errors: kMalformed, naming `what`.
class Reader {
 public:
  explicit Reader(ByteView input) : rest_(input) {}

  bool at_end() const { return rest_.empty(); }
  bool next_is(std::uint8_t tag) const { return !rest_.empty() && rest_[0] == tag; }
  Result<Element> read_any(std::string_view what);
  Result<Element> read(std::uint8_t tag, std::string_view what);
  Result<void> finish(std::string_view what) const;

 private:
  ByteView rest_;
};

// read_integer_content checks an INTEGER's content: not empty, shortest, not negative; gives it without the sign byte.
Result<ByteView> unsigned_content(const Element& integer, std::string_view what);
Result<std::uint64_t> small_unsigned(const Element& integer, std::string_view what);
Result<bool> boolean(const Element& element, std::string_view what);

// Makers. A view that is empty adds nothing.
Bytes element(std::uint8_t tag, std::initializer_list<ByteView> parts);
Bytes unsigned_integer(ByteView big_endian);  // adds or drops leading zeros as DER wants

}  // namespace casemate::x509::der
