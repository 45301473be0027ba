// SPDX-License-Identifier: Apache-2.0
// PcrBank: the 32 SHA-384 platform configuration registers of one enclave.
#pragma once

#include <algorithm>
#include <vector>

#include "attestation/document.h"
#include "crypto/digest.h"
#include "nsm/message.h"

namespace casemate::nsm {

inline constexpr std::uint16_t kPcrCount = 32;
// The platform's registers, locked from the start.
inline constexpr std::uint16_t kPlatformPcrs = 16;

// extend_pcr is SHA-384(old || data); the data goes in as it is, whatever its length.
PcrValue extend_pcr(const PcrValue& old, ByteView data);

// Measured values as the platform computes them from zero: image parts and certificates by their SHA-384, role and
// instance by their text (AWS Nitro Enclaves User Guide, "Where to get an enclave's measurements").
PcrValue pcr_of_digest(const crypto::Sha384& digest);
PcrValue pcr_of_text(std::string_view text);

class PcrBank {
 public:
  // All zero, 0..15 locked.
  PcrBank();

  // set gives a platform register its value before the enclave starts; index < 16.
  void set(std::uint16_t index, const PcrValue& value);

  struct Register {
    PcrValue value{};
    bool locked = false;
  };
  // The operations answer kSuccess, kInvalidIndex or kReadOnlyIndex.
  ErrorCode describe(std::uint16_t index, Register& out) const;
  ErrorCode extend(std::uint16_t index, ByteView data, PcrValue& out);
  ErrorCode lock(std::uint16_t index);
  // lock_range locks 0 .. range-1 and succeeds if some or all are locked already.
  ErrorCode lock_range(std::uint16_t range);

  std::vector<std::uint16_t> locked() const;
  // attested is what a document lists: the locked registers.
  std::vector<attestation::Pcr> attested() const;

 private:
  std::array<Register, kPcrCount> registers_;
};

}  // namespace casemate::nsm
