// SPDX-License-Identifier: Apache-2.0
// Enclave images in files: inspected, signed, taken apart and compared.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "eif/reader.h"
#include "eif/signature.h"
#include "os/file.h"

namespace casemate::image {

// inspect_file reads an image with hashing on threads. Errors: those of eif::inspect, kNotFound, kDenied.
Result<eif::Image> inspect_file(const os::Path& path);

// sign_file signs an image in place: a signature that is there is replaced where it is, whatever its length, and the
// header's tables and checksum follow. The file changes as a whole or not at all. Errors: kMalformed (not an image, or
// damaged), kUnsupported (version 2), kLimit.
Result<eif::Measurements> sign_file(const os::Path& path, const eif::SigningKey& key, Rng& rng);

// extract_file writes each section into a file of its own in `directory`, which is made: bzImage, cmdline, ramdisk0.cpio
// and so on, metadata.json, signature.cbor, signing_certificate.pem. The names are returned.
Result<std::vector<std::string>> extract_file(const os::Path& path, const os::Path& directory);

// Difference: one line each, for a reader who wants to know why PCRs differ.
struct Comparison {
  eif::Image a;
  eif::Image b;
  std::vector<std::string> differences;
};
// compare_files names the sections that differ and, in ramdisks, the files: added, removed, content, mode, owner, time.
Result<Comparison> compare_files(const os::Path& a, const os::Path& b);

}  // namespace casemate::image
