// SPDX-License-Identifier: Apache-2.0
#include "cbor/reader.h"

#include <algorithm>
#include <limits>

namespace casemate::cbor {
namespace {

enum Major : std::uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kOther };

constexpr std::uint8_t kBreak = 0xff;
constexpr std::uint8_t kIndefinite = 31;
constexpr std::uint8_t kNull = 0xf6;

bool same_key(ByteView a, ByteView b) { return equal(a, b); }

bool key_order(ByteView a, ByteView b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::kUnsigned: return "unsigned integer";
    case Type::kNegative: return "negative integer";
    case Type::kBytes: return "byte string";
    case Type::kText: return "text string";
    case Type::kArray: return "array";
    case Type::kMap: return "map";
    case Type::kTag: return "tag";
    case Type::kBool: return "boolean";
    case Type::kNull: return "null";
    case Type::kUndefined: return "undefined";
    case Type::kFloat: return "float";
    case Type::kSimple: return "simple value";
  }
  CASEMATE_CHECK(false);
}

std::optional<std::size_t> find_invalid_utf8(ByteView text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::uint8_t lead = text[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    // RFC 3629, 4: the second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
    std::size_t more = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else {
      return i;
    }
    if (more >= text.size() - i) return i;
    for (std::size_t j = 1; j <= more; ++j) {
      if (text[i + j] < low || text[i + j] > high) return i;
      low = 0x80;
      high = 0xbf;
    }
    i += more + 1;
  }
  return std::nullopt;
}

Result<void> TextKeys::add(std::string_view key) {
  if (std::find(seen_.begin(), seen_.end(), key) != seen_.end()) return malformed("key \"{}\" twice in one map", key);
  seen_.push_back(key);
  return {};
}

Result<Reader::Head> Reader::head() const {
  if (at_end()) return malformed("offset {}: input ends, want an item", at_);
  const std::uint8_t first = input_[at_];
  Head head{static_cast<std::uint8_t>(first >> 5), static_cast<std::uint8_t>(first & 31), 0, 1};
  if (head.info < 24) {
    head.value = head.info;
    return head;
  }
  if (head.info == kIndefinite) {
    if (head.major == kMap) return head;
    return malformed("offset {}: {}", at_, head.major == kOther ? "break outside an indefinite map" : "indefinite length, want a definite one");
  }
  if (head.info > 27) return malformed("offset {}: reserved additional information {}", at_, head.info);
  const std::size_t width = std::size_t{1} << (head.info - 24);
  if (width > left() - 1) return malformed("offset {}: head of {} bytes, {} left", at_, width + 1, left());
  for (std::size_t i = 0; i < width; ++i) head.value = head.value << 8 | input_[at_ + 1 + i];
  head.size = 1 + width;
  if (head.major == kOther) {
    // RFC 8949, 3.3: a simple value below 32 in two bytes is not well-formed. Floats have no shortest form to check.
    if (head.info == 24 && head.value < 32) return malformed("offset {}: simple value {} in two bytes", at_, head.value);
    return head;
  }
  const bool shortest = head.info == 24   ? head.value >= 24
                        : head.info == 25 ? head.value > 0xff
                        : head.info == 26 ? head.value > 0xffff
                                          : head.value > 0xffffffff;
  if (!shortest && limits_.heads == HeadForm::kShortest) return malformed("offset {}: {} in {} bytes, want the shortest form", at_, head.value, head.size);
  return head;
}

Result<Type> Reader::peek() const {
  const Head next = TRY(head());
  switch (next.major) {
    case kUnsigned: return Type::kUnsigned;
    case kNegative: return Type::kNegative;
    case kBytes: return Type::kBytes;
    case kText: return Type::kText;
    case kArray: return Type::kArray;
    case kMap: return Type::kMap;
    case kTag: return Type::kTag;
    default: break;
  }
  switch (next.info) {
    case 20:
    case 21: return Type::kBool;
    case 22: return Type::kNull;
    case 23: return Type::kUndefined;
    case 25:
    case 26:
    case 27: return Type::kFloat;
    default: return Type::kSimple;
  }
}

bool Reader::next_is_null() const { return !at_end() && input_[at_] == kNull; }

Result<Reader::Head> Reader::head_of(std::uint8_t major, std::string_view wanted) const {
  const Head next = TRY(head());
  if (next.major != major) return malformed("offset {}: {}, want {}", at_, to_string(peek().take()), wanted);
  return next;
}

Result<std::uint64_t> Reader::read_unsigned() {
  const Head next = TRY(head_of(kUnsigned, "an unsigned integer"));
  at_ += next.size;
  return next.value;
}

Result<std::int64_t> Reader::read_integer() {
  const Head next = TRY(head());
  if (next.major != kUnsigned && next.major != kNegative) {
    return malformed("offset {}: {}, want an integer", at_, to_string(peek().take()));
  }
  if (next.value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return over_limit("offset {}: integer beyond 64 bits with a sign", at_);
  }
  at_ += next.size;
  const auto magnitude = static_cast<std::int64_t>(next.value);
  return next.major == kUnsigned ? magnitude : -1 - magnitude;
}

Result<ByteView> Reader::read_string(std::uint8_t major, std::string_view wanted) {
  const Head next = TRY(head_of(major, wanted));
  const std::size_t rest = left() - next.size;
  if (next.value > rest) return malformed("offset {}: string of {} bytes, {} left", at_, next.value, rest);
  const ByteView content = input_.subspan(at_ + next.size, static_cast<std::size_t>(next.value));
  if (major == kText) {
    if (const auto bad = find_invalid_utf8(content)) {
      return malformed("offset {}: not UTF-8", at_ + next.size + *bad);
    }
  }
  at_ += next.size + content.size();
  return content;
}

Result<ByteView> Reader::read_bytes() { return read_string(kBytes, "a byte string"); }

Result<std::string_view> Reader::read_text() { return as_text(TRY(read_string(kText, "a text string"))); }

Result<bool> Reader::read_bool() {
  const Type type = TRY(peek());
  if (type != Type::kBool) return malformed("offset {}: {}, want a boolean", at_, to_string(type));
  return input_[at_++] == 0xf5;
}

Result<void> Reader::read_null() {
  const Type type = TRY(peek());
  if (type != Type::kNull) return malformed("offset {}: {}, want null", at_, to_string(type));
  ++at_;
  return {};
}

Result<std::uint64_t> Reader::read_tag() {
  const Head next = TRY(head_of(kTag, "a tag"));
  at_ += next.size;
  return next.value;
}

Result<void> Reader::check_count(const Head& head, std::size_t per_item) const {
  const std::size_t rest = left() - head.size;
  if (head.value > rest / per_item) return malformed("offset {}: {} items in {} bytes", at_, head.value, rest);
  return {};
}

Result<std::uint64_t> Reader::read_array() {
  const Head next = TRY(head_of(kArray, "an array"));
  TRY(check_count(next, 1));
  at_ += next.size;
  return next.value;
}

Result<Reader::Map> Reader::read_map(MapForm form) {
  const Head next = TRY(head_of(kMap, "a map"));
  if (next.info == kIndefinite) {
    if (form == MapForm::kDefinite) return malformed("offset {}: map of indefinite length, want a definite one", at_);
    at_ += next.size;
    return Map{std::nullopt};
  }
  TRY(check_count(next, 2));
  at_ += next.size;
  return Map{next.value};
}

Result<bool> Reader::next(Map& map) {
  if (map.left) {
    if (*map.left == 0) return false;
    --*map.left;
    return true;
  }
  if (at_end()) return malformed("offset {}: input ends, want a break", at_);
  if (input_[at_] != kBreak) return true;
  ++at_;
  return false;
}

Result<void> Reader::skip() { return skip_at(0); }

Result<void> Reader::skip_at(std::size_t depth) {
  const Type type = TRY(peek());
  const bool nests = type == Type::kArray || type == Type::kMap || type == Type::kTag;
  if (nests && depth >= limits_.depth) return over_limit("offset {}: nested {} deep, want at most {}", at_, depth + 1, limits_.depth);
  switch (type) {
    case Type::kBytes: TRY(read_bytes()); return {};
    case Type::kText: TRY(read_text()); return {};
    case Type::kTag: TRY(read_tag()); return skip_at(depth + 1);
    case Type::kArray: {
      const std::uint64_t count = TRY(read_array());
      for (std::uint64_t i = 0; i < count; ++i) TRY(skip_at(depth + 1));
      return {};
    }
    case Type::kMap: {
      const std::size_t start = at_;
      Map map = TRY(read_map(MapForm::kDefinite));
      std::vector<ByteView> keys;
      while (TRY(next(map))) {
        const std::size_t key = at_;
        TRY(skip_at(depth + 1));
        keys.push_back(consumed_since(key));
        TRY(skip_at(depth + 1));
      }
      // In the shortest form equal keys are equal bytes.
      std::sort(keys.begin(), keys.end(), key_order);
      if (std::adjacent_find(keys.begin(), keys.end(), same_key) != keys.end()) {
        return malformed("offset {}: a key twice in one map", start);
      }
      return {};
    }
    case Type::kUnsigned:
    case Type::kNegative:
    case Type::kBool:
    case Type::kNull:
    case Type::kUndefined:
    case Type::kFloat:
    case Type::kSimple: at_ += TRY(head()).size; return {};
  }
  CASEMATE_CHECK(false);
}

Result<void> Reader::finish() const {
  if (!at_end()) return malformed("offset {}: {} bytes after the end", at_, left());
  return {};
}

}  // namespace casemate::cbor
