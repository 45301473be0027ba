// SPDX-License-Identifier: Apache-2.0
#include "casemate/message.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/secret.h"
#include "json/value.h"
#include "sdk/src/stream.h"

namespace casemate::message {
namespace {

bool white_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void wipe(std::string& text) {
  zeroize(text.data(), text.size());
}

}  // namespace

Fields::~Fields() {
  for (Field& field : fields_) wipe(field.second);
}

const std::string* Fields::find(std::string_view name) const {
  const auto it = std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.first == name; });
  return it == fields_.end() ? nullptr : &it->second;
}

Result<std::string_view> Fields::require(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr) return malformed("request: no member \"{}\"", name);
  return std::string_view(*value);
}

Result<Fields> parse(std::string_view text, const Limits& limits) {
  json::Limits json_limits;
  json_limits.input_bytes = limits.bytes;
  json_limits.depth = 2;
  json_limits.values = 256;
  json::Value value = TRY(json::parse(text, json_limits));
  json::Object* object = value.if_object();
  if (object == nullptr) return malformed("json: {}, want an object", value.type_name());
  Fields fields;
  for (auto& [name, member] : *object) {
    std::string* string = member.if_string();
    if (string == nullptr) return malformed("json: member \"{}\" is {}, want a string", name.substr(0, 64), member.type_name());
    fields.add(name, std::move(*string));
  }
  return fields;
}

std::string encode(const Fields& fields) {
  std::string out = "{";
  for (const auto& [name, value] : fields) {
    if (out.size() > 1) out += ", ";
    out += json::encode_string(name);
    out += ": ";
    out += json::encode_string(value);
  }
  out += '}';
  return out;
}

Framer::~Framer() {
  wipe(text_);
}

Result<Framer::State> Framer::feed(ByteView data) {
  for (const std::uint8_t byte : data) {
    if (complete_) break;
    const char c = static_cast<char>(byte);
    if (text_.size() == limits_.bytes) return over_limit("request: more than {} bytes", limits_.bytes);
    // Growth that moved the text would leave copies of it behind.
    if (text_.capacity() == text_.size()) {
      std::string larger;
      larger.reserve(std::min(limits_.bytes, std::max<std::size_t>(1024, text_.size() * 2)));
      larger.assign(text_);
      wipe(text_);
      text_ = std::move(larger);
    }
    text_ += c;
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '{' || c == '[') {
      if (depth_ == 0 && c != '{') return malformed("request: not a JSON object");
      ++depth_;
    } else if (depth_ == 0) {
      if (!white_space(c)) return malformed("request: not a JSON object");
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '}' || c == ']') {
      complete_ = --depth_ == 0;
    }
  }
  return complete_ ? State::kComplete : State::kMore;
}

Result<void> Framer::end() const {
  if (complete_) return {};
  if (text_.empty()) return unavailable("the peer closed the connection without a message");
  return malformed("request: ends after {} bytes, before its object does", text_.size());
}

Result<Fields> receive(int socket, std::chrono::milliseconds timeout, const Limits& limits) {
  const sdk::Deadline deadline(timeout);
  Framer framer(limits);
  std::array<std::uint8_t, 4096> buffer{};
  for (;;) {
    const std::size_t count = TRY(sdk::read_some(socket, buffer, deadline));
    auto state = count == 0 ? Result<Framer::State>(Framer::State::kComplete) : framer.feed(ByteView(buffer).first(count));
    zeroize(buffer.data(), count);
    if (count == 0) TRY(framer.end());
    if (TRY(std::move(state)) == Framer::State::kComplete) return parse(framer.text(), limits);
  }
}

Result<void> send(int socket, const Fields& fields, std::chrono::milliseconds timeout) {
  std::string text = encode(fields);
  text += '\n';
  auto sent = sdk::write_all(socket, as_bytes(text), sdk::Deadline(timeout));
  wipe(text);
  return sent;
}

void finish(int socket, std::chrono::milliseconds timeout) {
  // A peer that floods is cut off after this much.
  constexpr std::size_t kMostDiscarded = 1024 * 1024;
  if (::shutdown(socket, SHUT_WR) != 0) return;
  const sdk::Deadline deadline(timeout);
  std::array<std::uint8_t, 4096> buffer{};
  for (std::size_t discarded = 0; discarded < kMostDiscarded;) {
    const auto count = sdk::read_some(socket, buffer, deadline);
    if (!count || *count == 0) return;
    discarded += *count;
  }
}

}  // namespace casemate::message
