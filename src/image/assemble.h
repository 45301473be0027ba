// SPDX-License-Identifier: Apache-2.0
// From a kernel, a command line and ramdisks that are there to an enclave image.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "eif/metadata.h"
#include "eif/signature.h"
#include "eif/writer.h"
#include "image/files.h"
#include "os/file.h"

namespace casemate::image {

// read_kernel_name reads the kernel's name from its configuration file. Errors: kNotFound, kDenied, kMalformed.
Result<eif::KernelName> read_kernel_name(const os::Path& config);

// copy_section copies a file into a section of its own. Errors: kConflict (its size changed), those of reading and writing.
Result<void> copy_section(eif::Writer& writer, eif::SectionType type, const oci::Blob& blob, ByteSink& section);

// Sealed is a whole image.
struct Sealed {
  eif::Measurements measurements;
  std::uint64_t bytes = 0;
};

// seal measures, signs if a key is given, writes the header and puts the file in place, after `last_check` has agreed.
Result<Sealed> seal(eif::Writer& writer, OutputFile* output, const eif::SigningKey* signing, Rng& rng,
                    const std::function<Result<void>()>& last_check = {});

struct Parts {
  os::Path kernel;
  std::string command_line;  // as it is
  std::vector<os::Path> ramdisks;
  std::uint16_t flags = 0;
  eif::Metadata metadata;
};

// assemble writes the parts in AWS's order, in one pass. Errors: kNotFound, kDenied, kLimit.
Result<Sealed> assemble(const Parts& parts, OutputFile& output, const eif::SigningKey* signing, Rng& rng);

}  // namespace casemate::image
