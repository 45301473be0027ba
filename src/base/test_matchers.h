// SPDX-License-Identifier: Apache-2.0
// gMock matchers for Result: IsOk(), IsOkAnd(matcher), IsError(code), IsError(code, message matcher). Tests only.
#pragma once

#include <gmock/gmock.h>

#include "base/result.h"

namespace casemate {

MATCHER(IsOk, "is a value") {
  if (arg.ok()) return true;
  *result_listener << "error " << to_string(arg.error().code()) << ": " << arg.error().message();
  return false;
}

MATCHER_P(IsOkAnd, inner, "is a value that matches") {
  if (!arg.ok()) {
    *result_listener << "error " << to_string(arg.error().code()) << ": " << arg.error().message();
    return false;
  }
  return testing::ExplainMatchResult(inner, arg.value(), result_listener);
}

MATCHER_P(IsError, code, "is the error") {
  if (arg.ok()) {
    *result_listener << "a value";
    return false;
  }
  *result_listener << to_string(arg.error().code()) << ": " << arg.error().message();
  return arg.error().code() == code;
}

MATCHER_P2(IsError, code, message, "is the error") {
  if (arg.ok()) {
    *result_listener << "a value";
    return false;
  }
  *result_listener << to_string(arg.error().code()) << ": " << arg.error().message();
  return arg.error().code() == code && testing::ExplainMatchResult(message, arg.error().message(), result_listener);
}

}  // namespace casemate
