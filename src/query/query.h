// SPDX-License-Identifier: Apache-2.0
// AWS's query protocol, as STS and IAM speak it: parameters in a form, results and errors in XML.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "sigv4/canonical.h"

namespace casemate::query {

// Fault is an error of the protocol: `code` and `message` go to the caller as they are.
struct [[nodiscard]] Fault {
  unsigned status = 400;
  std::string code;
  std::string message;
};

inline Fault fault(unsigned status, std::string_view code, std::string message) {
  return {status, std::string(code), std::move(message)};
}
inline Fault invalid(std::string message) { return fault(400, "ValidationError", std::move(message)); }

// Outcome<T> is a value or a Fault; TRY works on it.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Outcome(Fault fault) : state_(std::in_place_index<1>, std::move(fault)) {}

  bool ok() const { return state_.index() == 0; }
  T& value() {
    CASEMATE_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const {
    CASEMATE_CHECK(ok());
    return std::get<0>(state_);
  }
  T take() { return std::move(value()); }
  const Fault& error() const& {
    CASEMATE_CHECK(!ok());
    return std::get<1>(state_);
  }
  Fault error() && {
    CASEMATE_CHECK(!ok());
    return std::move(std::get<1>(state_));
  }

 private:
  std::variant<T, Fault> state_;
};
struct Done {};
using Check = Outcome<Done>;

// Parameters of one request, from the body of a POST or the query of a GET.
class Parameters {
 public:
  // read is empty when an escape is broken or there are more than 2,000 parameters.
  static std::optional<Parameters> read(const http::Request& request);

  const std::string* find(std::string_view name) const;
  // get is empty when the parameter is not there.
  std::string_view get(std::string_view name) const;
  // list gives `NAME.member.1`, `NAME.member.2` and so on, up to the first that is missing.
  std::vector<std::string> list(std::string_view name) const;
  // pairs gives `NAME.member.N.Key` with `NAME.member.N.Value`.
  std::vector<std::pair<std::string, std::string>> pairs(std::string_view name) const;
  const sigv4::Parameters& all() const { return list_; }

 private:
  explicit Parameters(sigv4::Parameters list) : list_(std::move(list)) {}
  sigv4::Parameters list_;
};

// escape makes text of XML 1.0; characters that it cannot hold are left out.
std::string escape(std::string_view text);

// element is `<NAME>text</NAME>` with the text escaped; wrap takes what is XML already; members wraps each in <member>.
std::string element(std::string_view name, std::string_view text);
std::string wrap(std::string_view name, std::string_view xml);
std::string members(std::string_view name, const std::vector<std::string>& items);

// time_text is the form of dates: RFC 3339 to the second.
std::string time_text(WallTime time);

// result_response and error_response are the two kinds of answer; `xmlns` is the service's name space. An error without
// a code has no body.
http::Response result_response(std::string_view action, std::string_view xmlns, std::string_view result,
                               std::string_view request_id);
http::Response error_response(const Fault& fault, std::string_view xmlns, std::string_view request_id);

// constraint_text is how a constraint that fails is told, as in "Member must have length ...".
std::string constraint_text(std::string_view value, std::string_view member, std::string_view constraint);

// make_request_id is a random UUID's text.
std::string make_request_id(Rng& rng);

}  // namespace casemate::query
