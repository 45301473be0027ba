// SPDX-License-Identifier: Apache-2.0
// Signer: the short-lived key under which an enclave's NSM signs its documents, and where one comes from.
#pragma once

#include <memory>
#include <vector>

#include "attestation/document.h"
#include "crypto/ecdsa.h"

namespace casemate::attestation {

struct Signer {
  crypto::EcPrivateKey key;
  Bytes certificate;            // the leaf, DER
  std::vector<Bytes> cabundle;  // root first, as in the document
  WallTime not_after;
};

// SignerSource gives the signer to use at `now`. Calls may come from several threads. The pointer is shared with
// documents that are being made while the next signer is issued.
class SignerSource {
 public:
  virtual ~SignerSource() = default;
  virtual Result<std::shared_ptr<const Signer>> signer(WallTime now) = 0;
};

// create makes a signed document: untagged COSE_Sign1 with ES384, byte for byte in the shape of real ones.
Bytes create(const Statement& statement, const Signer& signer, Rng& rng, WireForm form = WireForm::kIndefinite);

}  // namespace casemate::attestation
