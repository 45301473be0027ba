// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace casemate {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: bug: expected %s\n", file, line, condition);
  std::abort();
}

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed: return "malformed";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kLimit: return "limit";
    case ErrorCode::kUntrusted: return "untrusted";
    case ErrorCode::kDenied: return "denied";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

Error errno_error(std::string_view what, int number) {
  auto code = ErrorCode::kInternal;
  switch (number) {
    case ENOENT: code = ErrorCode::kNotFound; break;
    case EACCES:
    case EPERM: code = ErrorCode::kDenied; break;
    case EEXIST:
    case EADDRINUSE: code = ErrorCode::kConflict; break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EFBIG: code = ErrorCode::kLimit; break;
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case EAGAIN: code = ErrorCode::kUnavailable; break;
    default: break;
  }
  char text[128] = {};
  return {code, fmt::format("{}: {}", what, strerror_r(number, text, sizeof text))};
}

Error errno_error(std::string_view what) {
  return errno_error(what, errno);
}

}  // namespace casemate
