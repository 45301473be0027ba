// SPDX-License-Identifier: Apache-2.0
#include "json/value.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace casemate::json {

Object::Object(std::initializer_list<Initial> members) {
  members_.reserve(members.size());
  for (const Initial& member : members) members_.emplace_back(std::move(member.name), std::move(member.value));
}

void Object::reserve(std::size_t members) {
  members_.reserve(members);
}

Object& Object::set(std::string_view name, Value value) {
  if (Value* existing = find(name)) {
    *existing = std::move(value);
  } else {
    members_.emplace_back(std::string(name), std::move(value));
  }
  return *this;
}

void Object::append(std::string name, Value value) {
  members_.emplace_back(std::move(name), std::move(value));
}

bool Object::erase(std::string_view name) {
  return std::erase_if(members_, [&](const Member& member) { return member.first == name; }) != 0;
}

const Value* Object::find(std::string_view name) const {
  const auto it = std::find_if(members_.begin(), members_.end(), [&](const Member& member) { return member.first == name; });
  return it == members_.end() ? nullptr : &it->second;
}

Value* Object::find(std::string_view name) {
  return const_cast<Value*>(std::as_const(*this).find(name));
}

bool Object::operator==(const Object& other) const {
  return members_.size() == other.members_.size() && std::all_of(begin(), end(), [&](const Member& member) {
           const Value* value = other.find(member.first);
           return value != nullptr && *value == member.second;
         });
}

Value::Value(std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    data_ = static_cast<std::int64_t>(value);
  } else {
    data_ = value;
  }
}

Array& Value::array() {
  CASEMATE_CHECK(if_array() != nullptr);
  return std::get<Array>(data_);
}

Object& Value::object() {
  CASEMATE_CHECK(if_object() != nullptr);
  return std::get<Object>(data_);
}

const Array& Value::array() const {
  return const_cast<Value*>(this)->array();
}

const Object& Value::object() const {
  return const_cast<Value*>(this)->object();
}

bool Value::is_number() const {
  return if_int64() != nullptr || if_uint64_big() != nullptr || std::holds_alternative<double>(data_);
}

double Value::as_double() const {
  if (const auto* integer = if_int64()) return static_cast<double>(*integer);
  if (const auto* big = if_uint64_big()) return static_cast<double>(*big);
  const auto* number = std::get_if<double>(&data_);
  return number == nullptr ? 0 : *number;
}

const Value* Value::find(std::string_view name) const {
  const Object* object = if_object();
  return object == nullptr ? nullptr : object->find(name);
}

const std::string* Value::string_at(std::string_view name) const {
  const Value* member = find(name);
  return member == nullptr ? nullptr : member->if_string();
}

const std::int64_t* Value::int_at(std::string_view name) const {
  const Value* member = find(name);
  return member == nullptr ? nullptr : member->if_int64();
}

std::string_view Value::type_name() const {
  if (is_null()) return "null";
  if (if_bool() != nullptr) return "boolean";
  if (if_string() != nullptr) return "string";
  if (if_array() != nullptr) return "array";
  if (if_object() != nullptr) return "object";
  return "number";
}

namespace {

// plain_bytes counts bytes at the front that stand for themselves, in steps of eight: some byte of x is below n exactly
// when (x - n) & ~x has a top bit somewhere (which byte, borrows hide).
std::size_t plain_bytes(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kTops = kOnes << 7;
  std::size_t i = 0;
  for (; text.size() - i >= sizeof(std::uint64_t); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof word);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    const std::uint64_t special = ((word - kOnes * 0x20) & ~word) | ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash);
    if ((special & kTops) != 0) break;
  }
  return i;
}

void write_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain_from = 0;
  for (std::size_t i = plain_bytes(text); i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, plain_from, i - plain_from);
    plain_from = i + 1;
    switch (byte) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out += fmt::format("\\u{:04x}", byte);
    }
  }
  out.append(text, plain_from);
  out += '"';
}

// Writer walks a value; `indent` < 0 writes the compact form.
struct Writer {
  std::string out;
  int indent = -1;

  void newline(int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(depth * indent), ' ');
  }

  void number(const Value& value) {
    if (const auto* integer = value.if_int64()) {
      out += fmt::format("{}", *integer);
    } else if (const auto* big = value.if_uint64_big()) {
      out += fmt::format("{}", *big);
    } else {
      // fmt's shortest form that reads back the same; std::to_chars would add 125 KiB of tables to every static program.
      out += fmt::format("{}", value.as_double());
    }
  }

  void write(const Object& object, int depth) {
    write_all(object, '{', '}', depth, [&](const Object::Member& member) {
      write_string(out, member.first);
      out += indent < 0 ? ":" : ": ";
      write(member.second, depth + 1);
    });
  }

  void write(const Value& value, int depth) {
    if (value.is_null()) {
      out += "null";
    } else if (const bool* flag = value.if_bool()) {
      out += *flag ? "true" : "false";
    } else if (const std::string* text = value.if_string()) {
      write_string(out, *text);
    } else if (const Array* array = value.if_array()) {
      write_all(*array, '[', ']', depth, [&](const Value& item) { write(item, depth + 1); });
    } else if (const Object* object = value.if_object()) {
      write(*object, depth);
    } else {
      number(value);
    }
  }

  template <typename Items, typename WriteItem>
  void write_all(const Items& items, char open, char close, int depth, WriteItem write_item) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += ',';
      first = false;
      newline(depth + 1);
      write_item(item);
    }
    if (!first) newline(depth);
    out += close;
  }
};

}  // namespace

std::string encode(const Value& value) {
  Writer writer;
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string encode(const Object& value) {
  Writer writer;
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string encode_pretty(const Value& value) {
  Writer writer{{}, 2};
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string encode_string(std::string_view text) {
  std::string out;
  write_string(out, text);
  return out;
}

}  // namespace casemate::json
