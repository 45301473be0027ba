// SPDX-License-Identifier: Apache-2.0
// What this service has no machinery for, refused by name once the caller is known to be allowed to ask.
#include "kms/api/operations.h"

namespace casemate::kms::api {

Outcome<Answer> refuse_custom_key_store(Call& call) {
  TRY(call.authorize_by_identity(call.operation().name, "*"));
  return fault(FaultKind::kUnsupported,
               "Custom key stores are not supported by this service: it keeps all keys in its own store.");
}

Outcome<Answer> refuse_encapsulation(Call& call) {
  const Located located = TRY(call.locate("KeyId", AllowAlias::kYes));
  TRY(call.authorize(call.operation().name, located));
  return fault(FaultKind::kUnsupported,
               fmt::format("{} needs ML-KEM, which the cryptographic library of this service does not have.",
                           call.operation().name));
}

}  // namespace casemate::kms::api
