// SPDX-License-Identifier: Apache-2.0
// From an image to a guest whose init waits, confined and filtered, for the word to execute the application.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "runtime/backend.h"
#include "runtime/sandbox/boot.h"
#include "runtime/sandbox/cgroup.h"
#include "runtime/sandbox/root_cache.h"
#include "seccomp/notify.h"

namespace casemate::runtime::sandbox {

// Launched owns a guest's processes. Ending init ends every process of the guest; the keeper then reports and ends too.
struct Launched {
  pid_t keeper = -1;  // our child, to be waited for
  pid_t init = -1;
  UniqueFd init_handle;  // pidfd
  Channel keeper_channel;
  Channel guest_channel;
  UniqueFd notifications;
  seccomp::Interruptible interruptible = seccomp::Interruptible::kYes;
  std::uint64_t network_cookie = 0;
  std::uint64_t nsm_mount = 0;
  std::uint64_t vsock_mount = 0;
  Cgroup cgroup;
  std::optional<CachedRoot> root;  // what the guest's root is made of, unless it was unpacked for it
};

// embed_init gives a descriptor of the init program, to execute from memory. Errors: kInternal.
Result<UniqueFd> embed_init();

// Shared is what all guests of a backend have in common.
struct Shared {
  UniqueFd init_program;
  Bytes filter;
  bool interruptible = false;  // notified calls, as on kernels before 5.19
  std::optional<RootCache> roots;
};

// launch must be called by the thread that outlives the guest: the kernel kills the guest when that thread ends. Errors:
// kMalformed (image), kUntrusted (the image is no longer what was measured), kUnsupported (this machine, with a hint), kLimit
// (memory), kInternal; nothing is left then.
Result<Launched> launch(const Shared& shared, const GuestImage& image, const GuestSpec& spec);

// stop kills what is left of a guest and waits for it.
void stop(Launched& guest);

}  // namespace casemate::runtime::sandbox
