// SPDX-License-Identifier: Apache-2.0
#include "x509/der.h"

namespace casemate::x509::der {

Result<Element> Reader::read_any(std::string_view what) {
  if (rest_.size() < 2) return malformed("{}: {} bytes left, want an element", what, rest_.size());
  Element element;
  element.tag = rest_[0];
  if ((element.tag & 0x1f) == 0x1f) return malformed("{}: tag of several bytes", what);
  std::size_t head = 2;
  std::size_t length = rest_[1];
  if (length >= 0x80) {
    const std::size_t width = length & 0x7f;
    // X.690, 10.1: definite form in the fewest octets. Four octets are more than any certificate needs.
    if (width == 0 || width > 4) return malformed("{}: length in {} octets, want 1 to 4", what, width);
    if (rest_.size() - 2 < width) return malformed("{}: input ends inside a length", what);
    length = 0;
    for (std::size_t i = 0; i < width; ++i) length = length << 8 | rest_[2 + i];
    if (length < 0x80 || rest_[2] == 0) return malformed("{}: length {} not in the shortest form", what, length);
    head += width;
  }
  if (length > rest_.size() - head) return malformed("{}: {} bytes, {} left", what, length, rest_.size() - head);
  element.content = rest_.subspan(head, length);
  element.whole = rest_.first(head + length);
  rest_ = rest_.subspan(head + length);
  return element;
}

Result<Element> Reader::read(std::uint8_t tag, std::string_view what) {
  if (!rest_.empty() && rest_[0] != tag) return malformed("{}: tag {:#04x}, want {:#04x}", what, rest_[0], tag);
  return read_any(what);
}

Result<void> Reader::finish(std::string_view what) const {
  if (!rest_.empty()) return malformed("{}: {} bytes after the end", what, rest_.size());
  return {};
}

Result<ByteView> unsigned_content(const Element& integer, std::string_view what) {
  ByteView content = integer.content;
  if (content.empty()) return malformed("{}: empty integer", what);
  if ((content[0] & 0x80) != 0) return malformed("{}: negative", what);
  if (content[0] == 0 && content.size() > 1) {
    if ((content[1] & 0x80) == 0) return malformed("{}: integer not in the shortest form", what);
    content = content.subspan(1);
  }
  return content;
}

Result<std::uint64_t> small_unsigned(const Element& integer, std::string_view what) {
  const ByteView content = TRY(unsigned_content(integer, what));
  if (content.size() > 8) return malformed("{}: integer of {} bytes, want at most 8", what, content.size());
  std::uint64_t value = 0;
  for (const std::uint8_t byte : content) value = value << 8 | byte;
  return value;
}

Result<bool> boolean(const Element& element, std::string_view what) {
  if (element.content.size() != 1) return malformed("{}: boolean of {} bytes", what, element.content.size());
  // X.690, 11.1: TRUE has all bits set.
  if (element.content[0] != 0 && element.content[0] != 0xff) return malformed("{}: boolean {:#04x}", what, element.content[0]);
  return element.content[0] == 0xff;
}

Bytes element(std::uint8_t tag, std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  Bytes out;
  out.reserve(size + 6);
  out.push_back(tag);
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
  } else if (size <= 0xff) {
    out.push_back(0x81);
    append_be<1>(out, size);
  } else if (size <= 0xffff) {
    out.push_back(0x82);
    append_be<2>(out, size);
  } else {
    CASEMATE_CHECK(size <= 0xffffffff);
    out.push_back(0x84);
    append_be<4>(out, size);
  }
  for (const ByteView part : parts) append(out, part);
  return out;
}

Bytes unsigned_integer(ByteView big_endian) {
  while (big_endian.size() > 1 && big_endian[0] == 0) big_endian = big_endian.subspan(1);
  static constexpr std::uint8_t kZero[1] = {0};
  if (big_endian.empty()) big_endian = kZero;
  const bool sign = (big_endian[0] & 0x80) != 0;
  return element(kInteger, {sign ? ByteView(kZero) : ByteView(), big_endian});
}

}  // namespace casemate::x509::der
