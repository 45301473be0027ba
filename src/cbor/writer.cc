// SPDX-License-Identifier: Apache-2.0
#include "cbor/writer.h"

namespace casemate::cbor {

void Writer::head(std::uint8_t major, std::uint64_t value) {
  const auto first = static_cast<std::uint8_t>(major << 5);
  const auto with = [first](unsigned info) { return static_cast<std::uint8_t>(first | info); };
  if (value < 24) {
    out_.push_back(with(static_cast<unsigned>(value)));
  } else if (value <= 0xff) {
    out_.push_back(with(24));
    append_be<1>(out_, value);
  } else if (value <= 0xffff) {
    out_.push_back(with(25));
    append_be<2>(out_, value);
  } else if (value <= 0xffffffff) {
    out_.push_back(with(26));
    append_be<4>(out_, value);
  } else {
    out_.push_back(with(27));
    append_be<8>(out_, value);
  }
}

Writer& Writer::unsigned_integer(std::uint64_t value) {
  head(0, value);
  return *this;
}

Writer& Writer::integer(std::int64_t value) {
  if (value < 0) {
    head(1, static_cast<std::uint64_t>(-1 - value));
  } else {
    head(0, static_cast<std::uint64_t>(value));
  }
  return *this;
}

Writer& Writer::bytes(ByteView value) {
  head(2, value.size());
  append(out_, value);
  return *this;
}

Writer& Writer::bytes_head(std::uint64_t size) {
  head(2, size);
  return *this;
}

Writer& Writer::text(std::string_view value) {
  head(3, value.size());
  append(out_, as_bytes(value));
  return *this;
}

Writer& Writer::array(std::uint64_t count) {
  head(4, count);
  return *this;
}

Writer& Writer::map(std::uint64_t count) {
  head(5, count);
  return *this;
}

Writer& Writer::indefinite_map() {
  out_.push_back(0xbf);
  return *this;
}

Writer& Writer::end_indefinite() {
  out_.push_back(0xff);
  return *this;
}

Writer& Writer::tag(std::uint64_t number) {
  head(6, number);
  return *this;
}

Writer& Writer::boolean(bool value) {
  out_.push_back(value ? 0xf5 : 0xf4);
  return *this;
}

Writer& Writer::null() {
  out_.push_back(0xf6);
  return *this;
}

Writer& Writer::encoded(ByteView item) {
  append(out_, item);
  return *this;
}

}  // namespace casemate::cbor
