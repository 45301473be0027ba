// SPDX-License-Identifier: Apache-2.0
// From a container image and a set of blobs to an enclave image.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "eif/measure.h"
#include "eif/metadata.h"
#include "eif/signature.h"
#include "image/files.h"
#include "image/source.h"
#include "os/file.h"

namespace casemate::image {

// Blobs: the parts of an enclave image that do not come from the container image, in the folder layout of AWS's package:
// bzImage or Image, the same with .config, cmdline, init and, if the kernel has no NSM driver of its own, nsm.ko. Beyond
// AWS's: launch.
struct Blobs {
  os::Path kernel;
  std::string command_line;
  eif::KernelName kernel_name;
  std::string init;
  std::optional<std::string> nsm_driver;
  std::optional<std::string> launcher;  // casemate's: starts an image's program as USER in WORKDIR
};

// read_blobs reads the folder for an architecture ("amd64", "arm64"). Errors: kNotFound (naming the file), kDenied,
// kMalformed.
Result<Blobs> read_blobs(const os::Path& directory, const std::string& architecture);

// default_blobs_directory is the first of these that holds a command line: <program>/../blobs,
// <program>/../share/nitro_enclaves/blobs, /usr/share/nitro_enclaves/blobs; the last when none does.
os::Path default_blobs_directory();

// HonourConfig: AWS takes CMD alone where there is one and ignores WORKDIR and USER. kOci does as container engines do:
// ENTRYPOINT and CMD are joined, the program is looked up in the image's PATH and runs as USER in WORKDIR, with a HOME. It
// changes what is measured.
enum class HonourConfig { kAws, kOci };

// command_of is what the enclave's init will execute. Errors: kUnsupported (neither CMD nor ENTRYPOINT).
Result<std::vector<std::string>> command_of(const oci::Config& config, HonourConfig honour);

struct BuildOptions {
  std::string image_name;     // empty: the source's
  std::string image_version;  // empty: the image's id
  std::string build_time;     // RFC 3339
  std::string build_tool = "nitro-cli";
  std::string build_tool_version;
  json::Value custom_metadata;
  HonourConfig honour = HonourConfig::kAws;
  // Describe the image by what is fixed in it, not by the engine's own words, which change from one to the next.
  bool reproducible_description = false;
  OutputFile* output = nullptr;  // none: measure only; committed when the image is whole
  const eif::SigningKey* signing = nullptr;
  // Called with 0 to 100, each number once.
  std::function<void(unsigned)> progress;
};

struct BuildReport {
  eif::Measurements measurements;
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  std::vector<std::string> warnings;
};

// build reads the source's layers, merges them and writes the image in one pass over the content. Errors: those of oci::load and of writing (kLimit when the disk is full), kUnsupported.
Result<BuildReport> build(Source source, const Blobs& blobs, const BuildOptions& options, Rng& rng);

}  // namespace casemate::image
