// SPDX-License-Identifier: Apache-2.0
// The two ramdisks of an enclave image, byte for byte as nitro-cli's build tool (linuxkit 1.5.2 with AWS's patches)
// writes them for a container that a Docker engine created from the image.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "oci/rootfs.h"

namespace casemate::eif {

// Modification time of everything that the build tool adds: 2017-04-18T16:30:00Z.
inline constexpr std::uint32_t kToolTime = 1492533000;

// write_boot_ramdisk writes `init` and, where the kernel needs one, the NSM driver.
Result<void> write_boot_ramdisk(ByteSink& sink, ByteView init, std::optional<ByteView> nsm_driver);

// kLauncherPath is where, in the application's root, the program lies that honours USER and WORKDIR; casemate's own.
inline constexpr std::string_view kLauncherPath = ".casemate-launch";

// CopyContent writes a file's content, inode.size bytes.
using CopyContent = std::function<Result<void>(const oci::Inode& inode, ByteSink& sink)>;

struct Application {
  const oci::RootFs& rootfs;  // after prepare_container
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::optional<ByteView> launcher = std::nullopt;  // a program to add at kLauncherPath
};

// prepare_container changes `rootfs` as an engine does when it creates a container: mount points and files of its own
// replace the image's, and the working directory is made. Errors: kMalformed (working directory).
Result<void> prepare_container(oci::RootFs& rootfs, const std::string& working_directory);

// write_application_ramdisk writes rootfs/..., cmd and env. Errors: kLimit (a file of 4 GiB or a path that the kernel
// would skip), those of `copy` and `sink`.
Result<void> write_application_ramdisk(ByteSink& sink, const Application& application, const CopyContent& copy);

// application_ramdisk_size is what write_application_ramdisk will write.
Result<std::uint64_t> application_ramdisk_size(const Application& application);

}  // namespace casemate::eif
