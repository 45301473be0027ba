// SPDX-License-Identifier: Apache-2.0
// Faults that run-enclave puts into an enclave on request, so that an application's and a policy's negative paths can
// be tested. No AWS tool has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace casemate::runtime {

enum class Fault : std::uint8_t {
  kExpiredLeaf,    // documents are signed under a leaf certificate that has expired
  kWrongPcr,       // PCR0, PCR1, PCR2 and PCR8 are those of another image
  kStaleDocument,  // documents are an hour old, under a leaf of that time which is still valid
  kBadSignature,   // documents' signatures do not verify
  kForeignRoot,    // documents are signed under a root that nobody knows
  kNsmError,       // every NSM request is answered with InternalError
  kSlowNsm,        // every NSM request takes 5 seconds
  kBootHang,       // the enclave never sends its heartbeat
};

std::string_view to_string(Fault fault);  // "expired-leaf"

// parse_fault reads a name of to_string. Errors: kMalformed, with the names that there are.
Result<Fault> parse_fault(std::string_view text);

// Faults is a set of them.
class Faults {
 public:
  void add(Fault fault) { bits_ |= bit(fault); }
  bool has(Fault fault) const { return (bits_ & bit(fault)) != 0; }
  bool empty() const { return bits_ == 0; }
  std::vector<std::string_view> names() const;
  friend bool operator==(const Faults&, const Faults&) = default;

 private:
  static std::uint32_t bit(Fault fault) { return std::uint32_t{1} << static_cast<unsigned>(fault); }
  std::uint32_t bits_ = 0;
};

}  // namespace casemate::runtime
