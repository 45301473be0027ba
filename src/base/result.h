// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error that names what was found and what was wanted; here with the makers of errors and TRY.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/vocabulary.h"

namespace casemate {

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
