// SPDX-License-Identifier: Apache-2.0
// Reading an enclave image: one pass that finds its sections, measures them and checks every rule of the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "eif/format.h"
#include "eif/measure.h"
#include "eif/signature.h"

namespace casemate::eif {

struct Section {
  SectionType type;
  std::uint16_t flags = 0;
  std::uint64_t offset = 0;  // of the data, from the start of the file
  std::uint64_t size = 0;
};

struct Image {
  Header header;
  std::uint64_t file_size = 0;
  std::vector<Section> sections;
  Measurements measurements;
  std::uint32_t computed_crc = 0;
  std::string cmdline;
  std::string metadata;  // JSON as stored; empty where there is none (version 2 and 3)
  Bytes signature;       // the signature section's data; empty when unsigned
  // What the signature section says; signature_problem instead when it cannot be read.
  std::optional<Signature> signed_by;
  std::string signature_problem;
  // Rules of the format that the file breaks although it can be read, one sentence each. An image that a Nitro
  // hypervisor would refuse has at least one.
  std::vector<std::string> violations;

  bool crc_ok() const { return computed_crc == header.crc; }
  bool is_signed() const { return !signature.empty(); }
  // ramdisks are the sections of that type, in file order.
  std::vector<Section> ramdisks() const;
};

// Measured is what an earlier pass over the same bytes has found, PCR8 aside.
struct Measured {
  Sha384 pcr0{};
  Sha384 pcr1{};
  Sha384 pcr2{};
  std::uint32_t crc = 0;

  bool operator==(const Measured&) const = default;
};

struct InspectOptions {
  Lanes* lanes = nullptr;  // sequential without
  // Called after each piece with the bytes read so far.
  std::function<void(std::uint64_t)> progress;
  // Taken instead of measuring: kernel and ramdisks are then skipped. Whoever gives it knows that the file has not changed.
  const Measured* known = nullptr;
};

// inspect reads the whole of `source`, keeping no more than a few MiB whatever its size. It walks the sections from the
// end of the header to the end of the input, as AWS's reader does; where tables, order, counts, sizes or checksum
// disagree with what is found it records a violation. Errors: kMalformed (not an EIF, unknown section type, truncated),
// kUnsupported (version), kLimit (signature, metadata or command line larger than the format allows).
Result<Image> inspect(ByteSource& source, const InspectOptions& options = {});

// check_signature is run-enclave's check: the signature verifies and `now` lies within the certificate's validity.
// As AWS's, it does not ask whether the signature names this image's PCR0: names_image does, as describe-eif. Unsigned
// images pass. Errors: kUntrusted.
Result<void> check_signature(const Image& image, WallTime now);
Result<void> names_image(const Image& image);

}  // namespace casemate::eif
