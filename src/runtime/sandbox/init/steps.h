// SPDX-License-Identifier: Apache-2.0
// The steps of a guest's start, in the order of Nitro's init. Each runs inside the guest's namespaces, as its root.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/sandbox/boot.h"

namespace casemate::runtime::sandbox {

// Console writes kernel-like lines: `[    0.012345] init: text`.
class Console {
 public:
  explicit Console(int fd) : fd_(fd) {}
  void say(std::string_view text) const;

 private:
  int fd_;
};

// Command is what the image's cmd and env files say, one item a line.
struct Command {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
};

// Devices: the mounts that stand for the two devices; statx gives the same number for a descriptor opened through one.
struct Devices {
  std::uint64_t nsm_mount = 0;
  std::uint64_t vsock_mount = 0;
};

Result<Command> parse_lists(const ListFiles& lists);  // Errors: kMalformed

// enter_initramfs leaves the host's file systems for an empty tmpfs bounded by `memory_bytes`; /proc, /sys and /dev for
// the guest wait in /.staging, `tree` on /.lower.
Result<Devices> enter_initramfs(const BootSpec& spec, UniqueFd tree);

// mount_tree makes /rootfs of the cached tree below and the tmpfs above. False where this kernel cannot: /rootfs is then
// not there.
bool mount_tree(const BootSpec& spec);

// unpack_root makes /rootfs of the ramdisks.
Result<ListFiles> unpack_root(const BootSpec& spec, int image);

// unpack reads the ramdisks: what is in their rootfs/ goes into the folder `root`; cmd and env are returned. Errors:
// kMalformed, kLimit (memory, entries).
Result<ListFiles> unpack(const BootSpec& spec, int image, int root);

// enter_root makes /rootfs, a mount, the root, with the mounts of Nitro's init in it.
Result<void> enter_root(const BootSpec& spec);

// add_trust_anchors appends to every trust store of the image, or makes one where there is none.
Result<void> add_trust_anchors(std::string_view pem);

// confine_filler leaves a process only what unpacking takes, below `root`, which becomes its root folder.
Result<void> confine_filler(int root);

// confine applies limits, drops capabilities for good, sets no_new_privs and hides this process's memory.
Result<void> confine(const BootSpec& spec);

}  // namespace casemate::runtime::sandbox
