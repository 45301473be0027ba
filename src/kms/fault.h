// SPDX-License-Identifier: Apache-2.0
// Fault: why KMS refuses, in KMS's own vocabulary; Outcome<T>: a value or a Fault. TRY works on both Outcome and
// Result.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace casemate::kms {

// One enumerator for each exception of the service; names and statuses are api/errors.h's business.
enum class FaultKind {
  kAccessDenied,
  kAlreadyExists,
  kConflict,
  kDependencyTimeout,
  kDisabled,
  kDryRun,
  kExpiredImportToken,
  kIncorrectKey,
  kIncorrectKeyMaterial,
  kInternal,
  kInvalidAliasName,
  kInvalidArn,
  kInvalidCiphertext,
  kInvalidGrantId,
  kInvalidGrantToken,
  kInvalidImportToken,
  kInvalidKeyUsage,
  kInvalidMac,
  kInvalidMarker,
  kInvalidSignature,
  kInvalidState,
  kKeyUnavailable,
  kLimitExceeded,
  kMalformedPolicy,
  kNotAuthorized,
  kNotFound,
  kSerialization,
  kTag,
  kThrottling,
  kUnknownOperation,
  kUnsupported,
  kValidation,
};

// Fault: `message` goes to the caller (some of KMS's errors have none); `detail` is for the log and the audit only.
struct [[nodiscard]] Fault {
  FaultKind kind = FaultKind::kInternal;
  std::optional<std::string> message;
  std::string detail;

  // A failure of the machinery is KMSInternalException and says nothing of its cause to the caller but that there is no
  // space.
  static Fault internal(Error error) {
    if (error.code() == ErrorCode::kLimit)
      return {FaultKind::kInternal, "The service has no space left to store the change.", error.message()};
    return {FaultKind::kInternal, std::nullopt, error.message()};
  }
};

inline Fault fault(FaultKind kind, std::string message) {
  return {kind, std::move(message), {}};
}
inline Fault silent_fault(FaultKind kind, std::string detail = {}) {
  return {kind, std::nullopt, std::move(detail)};
}

template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Outcome(Fault fault) : state_(std::in_place_index<1>, std::move(fault)) {}
  Outcome(Error error) : Outcome(Fault::internal(std::move(error))) {}

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
  T* operator->() { return &value(); }
  T& operator*() { return value(); }
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

template <>
class [[nodiscard]] Outcome<void> {
 public:
  Outcome() = default;
  Outcome(Fault fault) : fault_(std::move(fault)) {}
  Outcome(Error error) : Outcome(Fault::internal(std::move(error))) {}

  bool ok() const { return !fault_.has_value(); }
  void take() const { CASEMATE_CHECK(ok()); }
  const Fault& error() const& {
    CASEMATE_CHECK(fault_.has_value());
    return *fault_;
  }
  Fault error() && {
    CASEMATE_CHECK(fault_.has_value());
    return std::move(*fault_);
  }

 private:
  std::optional<Fault> fault_;
};

}  // namespace casemate::kms
