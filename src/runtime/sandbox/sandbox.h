// SPDX-License-Identifier: Apache-2.0
// The sandbox backend: an enclave without the hardware, in name spaces of this kernel, with AF_VSOCK and /dev/nsm by
// seccomp notification. It reproduces what a Nitro guest sees; it does not protect the guest from this machine's root.
#pragma once

#include <memory>
#include <string>

#include "runtime/backend.h"

namespace casemate::runtime::sandbox {

struct Options {
  // Lets signals interrupt emulated calls at any point, as they do on kernels before 5.19. For tests.
  bool interruptible_calls = false;
  // Where unpacked roots are kept for the next start of an image, and how much they may take together; 0 keeps none.
  std::string roots;
  std::uint64_t most_root_bytes = 0;
};

// open_backend makes ready what guests share, and raises this process's soft limit of open files to the hard one. Works
// as root and as a plain user where user namespaces are allowed. Guests are ended by the kernel when the process that
// started them ends, however it ends. Errors: kUnsupported (this kernel), kInternal.
Result<std::unique_ptr<Backend>> open_backend(const Options& options = {});

// remove_leftovers removes the control groups that killed enclave processes could not remove; open_backend does so, too.
void remove_leftovers();

}  // namespace casemate::runtime::sandbox
