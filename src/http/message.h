// SPDX-License-Identifier: Apache-2.0
// HTTP messages as values (RFC 9110): what servers, clients, SigV4 and the services exchange. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace casemate::http {

// Headers keep order, case and repetitions; names compare case-insensitively.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  void add(std::string_view name, std::string_view value) {
    if (fields_.empty()) fields_.reserve(kUsualFields);
    fields_.emplace_back(name, value);
  }
  // set replaces every field of that name by one.
  void set(std::string_view name, std::string_view value);
  // find is the first field's value.
  const std::string* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }

 private:
  static constexpr std::size_t kUsualFields = 12;
  std::vector<Field> fields_;
};

struct Request {
  std::string method;
  std::string target;  // as on the request line: path, then `?query` where there is one
  Headers headers;
  std::string body;
  std::string peer;     // address of the other end, text without port; empty when unknown
  bool secure = false;  // over TLS

  std::string_view path() const;
  std::string_view query() const;
};

struct Response {
  unsigned status = 200;
  Headers headers;
  std::string body;
};

}  // namespace casemate::http
