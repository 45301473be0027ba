// SPDX-License-Identifier: Apache-2.0
// Device: the Nitro Security Module of one enclave, behind whatever transport carries its requests.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "attestation/signer.h"
#include "nsm/pcr_bank.h"

namespace casemate::nsm {

class Device {
 public:
  struct Parts {
    std::string module_id;
    PcrBank pcrs;
    std::unique_ptr<attestation::SignerSource> signers;
    const Clock* clock;  // both outlive the device and are safe to call from several threads
    Rng* rng;
    attestation::WireForm form = attestation::WireForm::kIndefinite;
  };
  explicit Device(Parts parts);

  // handle answers one request. It never fails: whatever is wrong is an Error response with the code that the NSM
  // protocol has for it. The answer has at most kMaxResponseBytes. Thread-safe; documents are signed outside the lock.
  Bytes handle(ByteView request);

  const std::string& module_id() const { return parts_.module_id; }
  // pcrs is a copy of the registers as they are now.
  PcrBank pcrs() const;

 private:
  Response answer(const Request& request);
  Response attest(const AttestationRequest& request);

  Parts parts_;
  mutable std::mutex mutex_;  // guards parts_.pcrs
};

}  // namespace casemate::nsm
