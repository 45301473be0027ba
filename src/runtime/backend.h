// SPDX-License-Identifier: Apache-2.0
// Backend: what runs an enclave image. The EIF, the NSM protocol, vsock and the console are the same behind each.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "eif/measure.h"
#include "runtime/file_identity.h"

namespace casemate::runtime {

// GuestImage: an EIF opened for reading and where its ramdisks lie in it, in file order. The first is the boot
// ramdisk, the others are the application's.
struct GuestImage {
  struct Range {
    std::uint64_t offset;
    std::uint64_t size;
  };
  // What was measured of the file, and the state of the file that it was measured in.
  struct Content {
    FileIdentity file;
    eif::Measurements measurements;
  };
  UniqueFd file;
  std::vector<Range> ramdisks;
  // A backend refuses, or unpacks again, what is no longer this; unset: whatever is in the file.
  std::optional<Content> content;
};

struct GuestSpec {
  std::uint32_t cid = 0;
  std::uint32_t cpu_count = 2;
  std::uint64_t memory_mib = 512;
  // The guest's standard output and error: the write end of the console pipe in debug mode, /dev/null in production.
  UniqueFd console;
  // Root folder of the vsock fabric.
  std::string fabric;
  // PEM certificates that the platform appends to the guest's trust stores; empty on none. Never measured.
  std::string trust_anchors_pem;
  // Answers one NSM request (at most 0x1000 bytes) with at most 0x3000 bytes. Called from the backend's own threads,
  // possibly several at once.
  std::function<Bytes(ByteView request)> nsm;
  // Called, from a thread of the backend's, when the application begins to listen on a vsock port.
  std::function<void(std::uint32_t port)> on_listen;
  // Takes what an operator should know of a start that succeeds all the same; a line of text.
  std::function<void(std::string_view text)> on_event;
  // How long each NSM request takes at least (fault injection). The guest's end does not wait for it.
  std::chrono::milliseconds nsm_delay{0};
  // The guest stops before its heartbeat (fault injection).
  bool hang_at_boot = false;
  // The guest's application must have been executed by then.
  std::chrono::milliseconds boot_timeout{180'000};
};

struct GuestExit {
  bool signalled = false;
  int status = 0;  // exit status, or the signal's number
};

// Guest: one running enclave. Destroying it ends every process in it and waits for that.
class Guest {
 public:
  virtual ~Guest() = default;
  // exit_event becomes readable, and stays so, once the guest has ended.
  virtual int exit_event() const = 0;
  // exit_status is set once the guest has ended.
  virtual std::optional<GuestExit> exit_status() = 0;
  // terminate kills the guest at once; harmless when it has ended.
  virtual void terminate() = 0;
  // pid of the guest's first process as the host sees it.
  virtual pid_t pid() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // start returns once the application has been executed (the heartbeat of a Nitro boot). Errors: kMalformed (image),
  // kUnsupported (this machine cannot, with a hint), kLimit (memory), kUnavailable (boot timeout), kInternal.
  virtual Result<std::unique_ptr<Guest>> start(GuestImage image, GuestSpec spec) = 0;
};

}  // namespace casemate::runtime
