// SPDX-License-Identifier: Apache-2.0
// One request and one reply a connection, each a JSON object whose members are strings: enough for an enclave and its
// parent to talk. A message ends where its object ends; no length prefix, so `nc` and Python can speak it too.
#pragma once

#include <chrono>
#include <optional>

#include "casemate/result.h"

namespace casemate::message {

struct Limits {
  // The whole message, white space included; bounds the memory that one peer can hold.
  std::size_t bytes = 64 * 1024;
};

// Fields keeps order; names differ.
class Fields {
 public:
  using Field = std::pair<std::string, std::string>;

  Fields() = default;
  Fields(std::initializer_list<Field> fields) : fields_(fields) {}
  Fields(Fields&&) noexcept = default;
  Fields& operator=(Fields&&) noexcept = default;
  Fields(const Fields&) = default;
  Fields& operator=(const Fields&) = default;
  // Credentials travel in these: the text is zeroed.
  ~Fields();

  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  const std::string* find(std::string_view name) const;
  // require is find or kMalformed, naming the member.
  Result<std::string_view> require(std::string_view name) const;
  std::size_t size() const { return fields_.size(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

// parse reads one object and nothing after it but white space. Errors: kMalformed (not JSON, not an object, a member
// that is no string, a name that occurs twice), kLimit.
Result<Fields> parse(std::string_view text, const Limits& limits = {});
std::string encode(const Fields& fields);

// Framer finds the end of an object in a stream without parsing it: braces outside strings are counted.
class Framer {
 public:
  explicit Framer(const Limits& limits = {}) : limits_(limits) {}
  Framer(const Framer&) = delete;
  Framer& operator=(const Framer&) = delete;
  ~Framer();

  enum class State { kMore, kComplete };

  // feed takes what arrived. Errors: kMalformed as soon as the text cannot be an object, kLimit beyond the limit. What
  // follows the object in `data` is ignored.
  Result<State> feed(ByteView data);
  // end says that the peer will send no more: an error unless the object is complete.
  Result<void> end() const;
  std::string_view text() const { return text_; }

 private:
  Limits limits_;
  std::string text_;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool complete_ = false;
};

// receive reads one message from a connected socket, blocking or not. Errors: as parse; kUnavailable (time is up, the
// peer went away).
Result<Fields> receive(int socket, std::chrono::milliseconds timeout, const Limits& limits = {});

// send writes one message and a newline.
Result<void> send(int socket, const Fields& fields, std::chrono::milliseconds timeout);

// finish ends the sending side and reads for at most `timeout` what the peer still sends, so that closing does not reset
// the connection under a reply which the peer has not read yet.
void finish(int socket, std::chrono::milliseconds timeout);

}  // namespace casemate::message
