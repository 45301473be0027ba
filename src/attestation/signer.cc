// SPDX-License-Identifier: Apache-2.0
#include "attestation/signer.h"

#include "cose/sign1.h"

namespace casemate::attestation {

Bytes create(const Statement& statement, const Signer& signer, Rng& rng, WireForm form) {
  return cose::sign1(encode_document(statement, signer.certificate, signer.cabundle, form), signer.key, rng);
}

}  // namespace casemate::attestation
