// SPDX-License-Identifier: Apache-2.0
// JSON (RFC 8259): a strict, bounded reader that refuses duplicate names, an ordered value, and two writers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace casemate::json {

class Value;
using Array = std::vector<Value>;

// Object keeps insertion order and holds each name once.
class Object {
 public:
  using Member = std::pair<std::string, Value>;

  Object() = default;
  // What a list in braces makes: a member that can be moved out of the list, which std::pair would not let us.
  struct Initial;
  Object(std::initializer_list<Initial> members);

  // set adds or replaces.
  Object& set(std::string_view name, Value value);
  // append adds without looking for the name: for parsers that already know it to be new.
  void append(std::string name, Value value);
  void reserve(std::size_t members);
  bool erase(std::string_view name);
  const Value* find(std::string_view name) const;
  Value* find(std::string_view name);

  // Defined below Value, which a member must be complete for.
  using Iterator = std::vector<Member>::iterator;
  using ConstIterator = std::vector<Member>::const_iterator;
  std::size_t size() const;
  bool empty() const;
  ConstIterator begin() const;
  ConstIterator end() const;
  Iterator begin();
  Iterator end();

  bool operator==(const Object& other) const;

 private:
  std::vector<Member> members_;
};

// Value: integers that fit keep their exact value; other numbers are double.
class Value {
 public:
  Value() : data_(nullptr) {}
  Value(std::nullptr_t) : data_(nullptr) {}
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(std::uint32_t value) : data_(std::int64_t{value}) {}
  Value(std::uint64_t value);
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(data_); }
  const bool* if_bool() const { return std::get_if<bool>(&data_); }
  const std::string* if_string() const { return std::get_if<std::string>(&data_); }
  std::string* if_string() { return std::get_if<std::string>(&data_); }
  const Array* if_array() const { return std::get_if<Array>(&data_); }
  Array* if_array() { return std::get_if<Array>(&data_); }
  const Object* if_object() const { return std::get_if<Object>(&data_); }
  Object* if_object() { return std::get_if<Object>(&data_); }
  // array and object are for values known to be one: anything else is a bug of the caller.
  Array& array();
  Object& object();
  const Array& array() const;
  const Object& object() const;
  bool is_number() const;
  // if_int64 is set when the number is an integer that fits; if_uint64_big when it fits only unsigned.
  const std::int64_t* if_int64() const { return std::get_if<std::int64_t>(&data_); }
  const std::uint64_t* if_uint64_big() const { return std::get_if<std::uint64_t>(&data_); }
  // as_double is any number's value, rounded.
  double as_double() const;

  // find is the member of an object, or null when this is no object or has no such name.
  const Value* find(std::string_view name) const;
  // string_at and int_at are the member when it is there and of that type.
  const std::string* string_at(std::string_view name) const;
  const std::int64_t* int_at(std::string_view name) const;

  // type_name is "null", "boolean", "number", "string", "array" or "object".
  std::string_view type_name() const;

  bool operator==(const Value& other) const = default;

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> data_;
};

struct Object::Initial {
  mutable std::string name;
  mutable Value value;
};

inline std::size_t Object::size() const {
  return members_.size();
}
inline bool Object::empty() const {
  return members_.empty();
}
inline Object::ConstIterator Object::begin() const {
  return members_.begin();
}
inline Object::ConstIterator Object::end() const {
  return members_.end();
}
inline Object::Iterator Object::begin() {
  return members_.begin();
}
inline Object::Iterator Object::end() {
  return members_.end();
}

struct Limits {
  std::size_t input_bytes = 1024 * 1024;
  std::size_t depth = 32;        // nested arrays and objects
  std::size_t values = 200'000;  // bounds memory at about values × 80 bytes
};

// parse reads one JSON text with nothing after it but white space; strings are valid UTF-8 without lone surrogates and
// names within an object differ. Errors: kMalformed (with the offset), kLimit (naming the limit).
Result<Value> parse(std::string_view text, const Limits& limits = {});

// encode writes without white space; encode_pretty indents by two spaces as serde_json and jq do. An object is taken as
// it is: as a Value it would be copied whole.
std::string encode(const Value& value);
std::string encode(const Object& value);
std::string encode_pretty(const Value& value);

// encode_string writes one quoted, escaped string.
std::string encode_string(std::string_view text);

}  // namespace casemate::json
