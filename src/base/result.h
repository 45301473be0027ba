// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error that names what was found and what was wanted. No exceptions cross it.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace casemate {

// Each code tells the caller its next move.
enum class ErrorCode {
  kMalformed,    // reject the input
  kUnsupported,  // reject; the message says what is supported
  kLimit,        // reject; the message says the limit
  kUntrusted,    // deny and audit
  kDenied,       // deny
  kNotFound,     // the named thing does not exist
  kConflict,     // re-read, then decide
  kUnavailable,  // try again later
  kInternal,     // a bug or the operating system
};

std::string_view to_string(ErrorCode code);

// Error holds a code and one sentence: `path: what was found, want what`; lower case, no full stop, no secrets.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // in prefixes the step that failed: `step: message`.
  Error in(std::string_view step) && {
    message_.insert(0, ": ");
    message_.insert(0, step);
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  std::string message_;
};

#define CASEMATE_ERROR_MAKER(name, code)                                 \
  template <typename... Args>                                            \
  Error name(fmt::format_string<Args...> format, Args&&... args) {       \
    return {ErrorCode::code, fmt::format(format, std::forward<Args>(args)...)}; \
  }
CASEMATE_ERROR_MAKER(malformed, kMalformed)
CASEMATE_ERROR_MAKER(unsupported, kUnsupported)
CASEMATE_ERROR_MAKER(over_limit, kLimit)
CASEMATE_ERROR_MAKER(untrusted, kUntrusted)
CASEMATE_ERROR_MAKER(denied, kDenied)
CASEMATE_ERROR_MAKER(not_found, kNotFound)
CASEMATE_ERROR_MAKER(conflict, kConflict)
CASEMATE_ERROR_MAKER(unavailable, kUnavailable)
CASEMATE_ERROR_MAKER(internal, kInternal)
#undef CASEMATE_ERROR_MAKER

// errno_error reports a failed system call: `what: <strerror>`; kNotFound for ENOENT, kLimit for ENOSPC, EMFILE and
// the like, kDenied for EACCES and EPERM, kInternal otherwise.
Error errno_error(std::string_view what, int number);
Error errno_error(std::string_view what);

template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  template <typename U>
    requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CASEMATE_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CASEMATE_CHECK(ok());
    return std::get<0>(state_);
  }
  T value() && { return take(); }
  T take() {
    CASEMATE_CHECK(ok());
    return std::move(std::get<0>(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    CASEMATE_CHECK(!ok());
    return std::get<1>(state_);
  }
  Error error() && {
    CASEMATE_CHECK(!ok());
    return std::move(std::get<1>(state_));
  }

  // in prefixes a failing step; a value passes through.
  Result in(std::string_view step) && {
    if (ok()) return std::move(*this);
    return std::move(*this).error().in(step);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;

  Result() : state_(std::in_place_index<0>) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  void value() const { CASEMATE_CHECK(ok()); }
  void take() const { CASEMATE_CHECK(ok()); }

  const Error& error() const& {
    CASEMATE_CHECK(!ok());
    return std::get<1>(state_);
  }
  Error error() && {
    CASEMATE_CHECK(!ok());
    return std::move(std::get<1>(state_));
  }
  Result in(std::string_view step) && {
    if (ok()) return {};
    return std::move(*this).error().in(step);
  }

 private:
  std::variant<std::monostate, Error> state_;
};

// Unit is the value of a step that has none but must live in containers or promises.
struct Unit {};

}  // namespace casemate

#define CASEMATE_JOIN2(a, b) a##b
#define CASEMATE_JOIN(a, b) CASEMATE_JOIN2(a, b)
#define CASEMATE_TRY_AS(name, expression, leave)   \
  __extension__({                                  \
    auto name = (expression);                      \
    if (!name.ok()) leave std::move(name).error(); \
    name.take();                                   \
  })
// TRY yields the value of a Result or returns its error from the enclosing function; CO_TRY does so in a coroutine.
#define TRY(...) CASEMATE_TRY_AS(CASEMATE_JOIN(try_result_, __COUNTER__), (__VA_ARGS__), return)
#define CO_TRY(...) CASEMATE_TRY_AS(CASEMATE_JOIN(try_result_, __COUNTER__), (__VA_ARGS__), co_return)
