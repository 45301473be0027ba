// SPDX-License-Identifier: Apache-2.0
#include "kms/api/shape.h"

#include <algorithm>

#include "base/encoding.h"

namespace casemate::kms::api {
namespace {

constexpr std::size_t kShownValue = 256;  // of a refused value, in a message

// Java, whose length the constraints mean, counts UTF-16 units.
std::int64_t utf16_length(std::string_view text) {
  std::int64_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

std::string join(std::span<const std::string_view> values) {
  std::string out;
  for (const std::string_view value : values) {
    if (!out.empty()) out += ", ";
    out += value;
  }
  return out;
}

std::string cut(std::string_view value) {
  if (value.size() <= kShownValue) return std::string(value);
  std::size_t end = kShownValue;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80) --end;
  return std::string(value.substr(0, end));
}

}  // namespace

std::string lower_camel(std::string_view name) {
  std::string out(name);
  if (out.starts_with("AWS")) return "aws" + out.substr(3);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

std::string constraint_failure(std::string_view value_and_path, std::string_view constraint) {
  return fmt::format("1 validation error detected: {} failed to satisfy constraint: {}", value_and_path, constraint);
}

const Input::Field* Input::find(std::string_view name) const {
  const auto it =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.member->name == name; });
  return it == fields_.end() ? nullptr : &*it;
}

bool Input::has(std::string_view name) const {
  return find(name) != nullptr;
}
const std::string* Input::text(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? nullptr : field->value.if_string();
}
std::string_view Input::text_or(std::string_view name, std::string_view otherwise) const {
  const std::string* value = text(name);
  return value == nullptr ? otherwise : std::string_view(*value);
}
std::optional<std::int64_t> Input::integer(std::string_view name) const {
  const Field* field = find(name);
  if (field == nullptr || field->value.if_int64() == nullptr) return std::nullopt;
  return *field->value.if_int64();
}
bool Input::flag(std::string_view name) const {
  const Field* field = find(name);
  const bool* value = field == nullptr ? nullptr : field->value.if_bool();
  return value != nullptr && *value;
}
const Secret* Input::blob(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? nullptr : &field->blob;
}
std::optional<WallTime> Input::time(std::string_view name) const {
  const Field* field = find(name);
  if (field == nullptr || field->member->type != Type::kTimestamp) return std::nullopt;
  return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(field->value.as_double() * 1000)}};
}
const Input* Input::structure(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr || field->structures.empty() ? nullptr : &field->structures.front();
}
const std::vector<Input>* Input::structures(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? nullptr : &field->structures;
}
const std::vector<std::string>* Input::texts(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? nullptr : &field->texts;
}
const std::vector<std::pair<std::string, std::string>>* Input::map(std::string_view name) const {
  const Field* field = find(name);
  return field == nullptr ? nullptr : &field->map;
}

json::Object Input::parameters() const {
  json::Object out;
  for (const Field& field : fields_) {
    const Member& member = *field.member;
    if (member.sensitivity == Sensitivity::kSensitive) continue;
    json::Value shown;
    switch (member.type) {
      case Type::kBlob:
      case Type::kStructure:
        continue;
      case Type::kStringMap: {
        json::Object object;
        for (const auto& [name, value] : field.map) object.append(name, value);
        shown = std::move(object);
        break;
      }
      case Type::kStringList:
        shown = json::Array(field.texts.begin(), field.texts.end());
        break;
      case Type::kStructureList: {
        json::Array array;
        for (const Input& item : field.structures) array.emplace_back(item.parameters());
        shown = std::move(array);
        break;
      }
      default:
        shown = field.value;
        break;
    }
    out.append(lower_camel(member.name), std::move(shown));
  }
  return out;
}

// Reader collects constraint failures; a wrong type ends it at once.
class Reader {
 public:
  Outcome<Input> read(const json::Object& object, std::span<const Member> members, const std::string& prefix) {
    Input input;
    for (const Member& member : members) {
      const std::string path = prefix + lower_camel(member.name);
      const json::Value* value = object.find(member.name);
      if (value == nullptr || value->is_null()) {
        if (member.presence == Presence::kRequired)
          fail(fmt::format("Value null at '{}'", path), "Member must not be null");
        continue;
      }
      Input::Field field;
      field.member = &member;
      TRY(read_value(member, *value, path, field));
      input.fields_.push_back(std::move(field));
    }
    return input;
  }

  std::optional<Fault> failure() const {
    if (failures_.empty()) return std::nullopt;
    std::string text =
        fmt::format("{} validation error{} detected: ", failures_.size(), failures_.size() == 1 ? "" : "s");
    for (std::size_t i = 0; i < failures_.size(); ++i) {
      if (i != 0) text += "; ";
      text += failures_[i];
    }
    return fault(FaultKind::kValidation, std::move(text));
  }

 private:
  void fail(std::string_view value_and_path, std::string_view constraint) {
    // One message never grows beyond use, however many list items fail.
    constexpr std::size_t kMostFailures = 10;
    if (failures_.size() < kMostFailures)
      failures_.push_back(fmt::format("{} failed to satisfy constraint: {}", value_and_path, constraint));
  }

  static Fault wrong_type(const Member& member, std::string_view want) {
    return fault(FaultKind::kSerialization, fmt::format("{}: want {}", member.name, want));
  }

  void check_bounds(const Member& member, const std::string& shown, std::int64_t amount, std::string_view measure) {
    if (amount < member.least)
      fail(shown, fmt::format("Member must have {} greater than or equal to {}", measure, member.least));
    if (amount > member.most)
      fail(shown, fmt::format("Member must have {} less than or equal to {}", measure, member.most));
  }

  void check_string(const Member& member, const std::string& text, const std::string& path) {
    const std::string shown = member.sensitivity == Sensitivity::kSensitive
                                  ? fmt::format("Value at '{}'", path)
                                  : fmt::format("Value '{}' at '{}'", cut(text), path);
    if (!member.values.empty() && std::find(member.values.begin(), member.values.end(), text) == member.values.end()) {
      fail(shown, fmt::format("Member must satisfy enum value set: [{}]", join(member.values)));
    }
    check_bounds(member, shown, utf16_length(text), "length");
    if (member.pattern != nullptr && !member.pattern->matches(text)) {
      fail(shown, fmt::format("Member must satisfy regular expression pattern: {}", member.pattern->text));
    }
  }

  Outcome<void> read_blob(const Member& member, const json::Value& value, const std::string& path,
                          Input::Field& field) {
    const std::string* text = value.if_string();
    if (text == nullptr) return wrong_type(member, "a base64 string");
    auto bytes = decode_base64(*text);
    if (!bytes.ok()) return wrong_type(member, "a base64 string");
    field.blob = Secret(bytes.take());
    const std::size_t size = field.blob.size();
    // The framework prints Java's buffer, which has no content in it.
    const std::string shown =
        member.sensitivity == Sensitivity::kSensitive
            ? fmt::format("Value at '{}'", path)
            : fmt::format("Value 'java.nio.HeapByteBuffer[pos=0 lim={} cap={}]' at '{}'", size, size, path);
    check_bounds(member, shown, static_cast<std::int64_t>(size), "length");
    return {};
  }

  Outcome<void> read_string_list(const Member& member, const json::Value& value, const std::string& path,
                                 Input::Field& field) {
    const json::Array* array = value.if_array();
    if (array == nullptr) return wrong_type(member, "a list");
    check_bounds(member, fmt::format("Value of {} items at '{}'", array->size(), path),
                 static_cast<std::int64_t>(array->size()), "length");
    for (std::size_t i = 0; i < array->size(); ++i) {
      const std::string* text = (*array)[i].if_string();
      if (text == nullptr) return wrong_type(member, "a list of strings");
      if (member.item != nullptr) check_string(*member.item, *text, fmt::format("{}.{}.member", path, i + 1));
      field.texts.push_back(*text);
    }
    return {};
  }

  Outcome<void> read_structure_list(const Member& member, const json::Value& value, const std::string& path,
                                    Input::Field& field) {
    const json::Array* array = value.if_array();
    if (array == nullptr) return wrong_type(member, "a list");
    for (std::size_t i = 0; i < array->size(); ++i) {
      const json::Object* object = (*array)[i].if_object();
      if (object == nullptr) return wrong_type(member, "a list of objects");
      field.structures.push_back(TRY(read(*object, member.members, fmt::format("{}.{}.member.", path, i + 1))));
    }
    return {};
  }

  Outcome<void> read_map(const Member& member, const json::Value& value, Input::Field& field) {
    const json::Object* object = value.if_object();
    if (object == nullptr) return wrong_type(member, "an object of strings");
    for (const auto& [name, entry] : *object) {
      const std::string* text = entry.if_string();
      if (text == nullptr) return wrong_type(member, "an object of strings");
      field.map.emplace_back(name, *text);
    }
    return {};
  }

  Outcome<void> read_value(const Member& member, const json::Value& value, const std::string& path,
                           Input::Field& field) {
    switch (member.type) {
      case Type::kString: {
        const std::string* text = value.if_string();
        if (text == nullptr) return wrong_type(member, "a string");
        check_string(member, *text, path);
        field.value = value;
        return {};
      }
      case Type::kInteger: {
        const std::int64_t* number = value.if_int64();
        if (number == nullptr) return wrong_type(member, "an integer");
        check_bounds(member, fmt::format("Value '{}' at '{}'", *number, path), *number, "value");
        field.value = value;
        return {};
      }
      case Type::kBoolean:
        if (value.if_bool() == nullptr) return wrong_type(member, "a boolean");
        field.value = value;
        return {};
      case Type::kTimestamp:
        // Beyond year 9999 no client means what it says.
        if (!value.is_number() || !(value.as_double() >= 0 && value.as_double() < 253'402'300'800.0))
          return wrong_type(member, "seconds since 1970");
        field.value = value;
        return {};
      case Type::kBlob:
        return read_blob(member, value, path, field);
      case Type::kStringMap:
        return read_map(member, value, field);
      case Type::kStringList:
        return read_string_list(member, value, path, field);
      case Type::kStructureList:
        return read_structure_list(member, value, path, field);
      case Type::kStructure: {
        const json::Object* object = value.if_object();
        if (object == nullptr) return wrong_type(member, "an object");
        field.structures.push_back(TRY(read(*object, member.members, path + ".")));
        return {};
      }
    }
    CASEMATE_CHECK(false);
  }

  std::vector<std::string> failures_;
};

Outcome<Input> read_input(std::string_view body, std::span<const Member> members) {
  json::Limits limits;
  limits.depth = 16;
  limits.values = 20'000;
  // Clients without parameters send `{}`; some send nothing.
  const auto value = body.empty() ? Result<json::Value>(json::Object{}) : json::parse(body, limits);
  if (!value.ok()) return Fault{FaultKind::kSerialization, std::nullopt, value.error().message()};
  const json::Object* object = value->if_object();
  if (object == nullptr) return silent_fault(FaultKind::kSerialization, "the request is no JSON object");
  Reader reader;
  Input input = TRY(reader.read(*object, members, ""));
  if (auto failure = reader.failure()) return std::move(*failure);
  return input;
}

}  // namespace casemate::kms::api
