// SPDX-License-Identifier: Apache-2.0
#include "kms/state.h"

namespace casemate::kms {
namespace {

// Numbers in brackets are the developer guide's.
enum class Verdict : std::uint8_t {
  kOk,
  kDisabled,     // [1]
  kDeletion,     // [3]
  kNotDeletion,  // [4]
  kImport,       // [5]
  kUnavailable,  // [11]
  kCreating,     // [14]
  kUpdating,     // [15]
};

struct Row {
  StateRule rule;
  // In the order of KeyState.
  Verdict creating, enabled, disabled, deletion, replica_deletion, import, unavailable, updating;
};

using enum Verdict;
// clang-format off
constexpr Row kTable[] = {
    //                             Creating      Enabled       Disabled      Deletion   ReplicaDel Import        Unavailable   Updating
    {StateRule::kAlways,           kOk,          kOk,          kOk,          kOk,       kOk,       kOk,          kOk,          kOk},
    {StateRule::kUse,              kCreating,    kOk,          kDisabled,    kDeletion, kDeletion, kImport,      kUnavailable, kOk},
    {StateRule::kUseAsymmetric,    kCreating,    kOk,          kDisabled,    kDeletion, kDeletion, kImport,      kUnavailable, kOk},
    {StateRule::kCreateGrant,      kCreating,    kOk,          kDisabled,    kDeletion, kDeletion, kImport,      kOk,          kOk},
    {StateRule::kCancelDeletion,   kNotDeletion, kNotDeletion, kNotDeletion, kOk,       kOk,       kNotDeletion, kNotDeletion, kNotDeletion},
    {StateRule::kScheduleDeletion, kOk,          kOk,          kOk,          kDeletion, kDeletion, kOk,          kOk,          kUpdating},
    {StateRule::kEnable,           kCreating,    kOk,          kOk,          kDeletion, kDeletion, kImport,      kOk,          kUpdating},
    {StateRule::kCreateAlias,      kOk,          kOk,          kOk,          kDeletion, kDeletion, kOk,          kOk,          kOk},
    {StateRule::kTargetOfAlias,    kOk,          kOk,          kOk,          kDeletion, kDeletion, kOk,          kOk,          kOk},
    {StateRule::kAlter,            kOk,          kOk,          kOk,          kDeletion, kDeletion, kOk,          kOk,          kOk},
    {StateRule::kReplicate,        kCreating,    kOk,          kDisabled,    kDeletion, kDeletion, kImport,      kOk,          kUpdating},
    {StateRule::kRotate,           kCreating,    kOk,          kDisabled,    kDeletion, kDeletion, kImport,      kOk,          kUpdating},
    {StateRule::kImport,           kCreating,    kOk,          kOk,          kDeletion, kDeletion, kOk,          kOk,          kUpdating},
};
// clang-format on

Verdict verdict(const Row& row, KeyState state) {
  switch (state) {
    case KeyState::kCreating:
      return row.creating;
    case KeyState::kEnabled:
      return row.enabled;
    case KeyState::kDisabled:
      return row.disabled;
    case KeyState::kPendingDeletion:
      return row.deletion;
    case KeyState::kPendingReplicaDeletion:
      return row.replica_deletion;
    case KeyState::kPendingImport:
      return row.import;
    case KeyState::kUnavailable:
      return row.unavailable;
    case KeyState::kUpdating:
      return row.updating;
  }
  CASEMATE_CHECK(false);
}

}  // namespace

Outcome<void> check_state(StateRule rule, KeyState state, std::string_view arn) {
  const Row& row = kTable[static_cast<std::size_t>(rule)];
  CASEMATE_CHECK(row.rule == rule);
  switch (verdict(row, state)) {
    case kOk:
      return {};
    case kDisabled:
      return fault(FaultKind::kDisabled, fmt::format("{} is disabled.", arn));
    case kDeletion:
      return fault(FaultKind::kInvalidState, fmt::format("{} is pending deletion.", arn));
    case kNotDeletion:
      return fault(FaultKind::kInvalidState, fmt::format("{} is not pending deletion.", arn));
    case kImport:
      return fault(FaultKind::kInvalidState, fmt::format("{} is pending import.", arn));
    case kUnavailable:
      return fault(FaultKind::kInvalidState, fmt::format("{} is unavailable.", arn));
    case kCreating:
      return fault(FaultKind::kInvalidState, fmt::format("{} is creating.", arn));
    case kUpdating:
      return fault(FaultKind::kInvalidState, fmt::format("{} is updating.", arn));
  }
  CASEMATE_CHECK(false);
}

}  // namespace casemate::kms
