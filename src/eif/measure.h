// SPDX-License-Identifier: Apache-2.0
// PCR0, PCR1, PCR2 and PCR8 of an enclave image, and the file's checksum, in one pass over its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/stream.h"
#include "crypto/digest.h"
#include "eif/format.h"

namespace casemate::eif {

using crypto::Sha384;

struct Measurements {
  Sha384 pcr0{};              // kernel, command line and every ramdisk
  Sha384 pcr1{};              // kernel, command line and the first ramdisk
  Sha384 pcr2{};              // every ramdisk but the first
  std::optional<Sha384> pcr8;  // certificate of the first signature

  bool operator==(const Measurements&) const = default;
};

// extend is SHA-384(old PCR ‖ data), as the NSM does it; measure is the PCR that an image's part yields:
// extend(zeros, SHA-384(data)).
Sha384 extend(const Sha384& pcr, ByteView data);
Sha384 measure(ByteView data);

// InParallel runs the given jobs, at once or one after the other, and returns when all are done. Whoever has threads
// provides one; in_sequence needs none.
using Job = std::function<void()>;
using InParallel = std::function<void(std::span<const Job>)>;
void in_sequence(std::span<const Job> jobs);

// Measurer takes the sections' data in file order and the whole file's bytes for the checksum.
class Measurer {
 public:
  explicit Measurer(InParallel parallel = in_sequence);

  // begin_section is called for each section, update with its data in pieces.
  void begin_section(SectionType type);
  // update measures `data` of the current section and adds it to the checksum. `meanwhile`, if any, runs alongside.
  void update(ByteView data, const Job& meanwhile = {});
  // checksum adds bytes that are not section data: headers. The header's own crc field is left out by the caller.
  void checksum(ByteView data);

  std::uint32_t crc() const { return crc_; }
  // finish ends the hashes. PCR8 is left to whoever reads the signature.
  Measurements finish();

 private:
  InParallel parallel_;
  crypto::Hasher image_;
  crypto::Hasher application_;
  std::optional<crypto::Hasher> boot_;
  SectionType section_ = SectionType::kKernel;
  std::uint32_t ramdisks_ = 0;
  std::uint32_t crc_ = 0;
};

}  // namespace casemate::eif
