// SPDX-License-Identifier: Apache-2.0
// The enclaves of one platform as files: `<run>/enclaves/<EnclaveID>/` holds `entry.json` and, once the enclave runs,
// `control.sock` (or `$NITRO_CLI_SOCKETS_PATH/<hex>.sock`). Everything that picks or frees a name, a CID or a CPU does
// so under one lock file; an entry lives exactly as long as its enclave process, told by pid and start time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/file.h"
#include "os/paths.h"
#include "os/process.h"
#include "runtime/enclave.h"

namespace casemate::runtime {

struct Entry {
  std::string id;
  std::string name;
  std::uint32_t cid = 0;
  std::vector<std::uint32_t> cpu_ids;
  std::uint64_t memory_mib = 0;
  os::Path socket;
  os::ProcessId supervisor;
  os::ProcessId guest;  // pid 0 until there is one
};

class Registry {
 public:
  // `sockets` is NITRO_CLI_SOCKETS_PATH, empty when that is not set. Nothing is created yet.
  Registry(os::Paths paths, os::Path sockets) : paths_(std::move(paths)), sockets_(std::move(sockets)) {}
  // from_environment reads the variables.
  static Result<Registry> from_environment();

  struct Wanted {
    std::string name;                    // made unique with _1, _2, ...
    std::optional<std::uint32_t> cid;    // unset: the next free one
    std::uint32_t cpu_count = 0;         // 0: cpu_ids says which
    std::vector<std::uint32_t> cpu_ids;
    std::uint64_t memory_mib = 0;
    std::string instance_id;
    SlotId slot;
    os::ProcessId supervisor;
  };
  // reserve enters an enclave, within the allocator file where there is one. Errors: kConflict (CID in use), kLimit (what
  // was asked for is not to be had: `shortage` says what of), kUnavailable (the lock), kMalformed (the allocator file).
  enum class Shortage { kNone, kCpuInUse, kCpuNotInPool, kTooFewCpus, kMemory };
  Result<Entry> reserve(const Wanted& wanted, Shortage& shortage);
  // set_guest notes the guest's first process, for whoever must clean up after a killed supervisor.
  Result<void> set_guest(const Entry& entry, const os::ProcessId& guest);
  // release removes the entry, its socket and its folder in the fabric; harmless when they are gone.
  Result<void> release(const Entry& entry);

  // entries lists what is entered, by age, the dead included.
  Result<std::vector<Entry>> entries() const;
  // purge removes the entries whose supervisor is gone and ends what is left of their guests.
  Result<void> purge();

  // sockets lists the control sockets of enclaves that run or did: with NITRO_CLI_SOCKETS_PATH everybody's, else this
  // platform's. Errors: kNotFound when that folder is missing although the variable names it.
  Result<std::vector<os::Path>> sockets() const;
  // socket_of is where the enclave with this ID has its socket. Errors: kMalformed when it can be no EnclaveID.
  Result<os::Path> socket_of(std::string_view id) const;

  const os::Paths& paths() const { return paths_; }
  bool shares_sockets() const { return !sockets_.empty(); }

 private:
  Result<os::FileLock> lock() const;
  Result<void> write(const Entry& entry, const os::Path& folder) const;
  Result<void> purge_locked();
  Result<std::vector<std::uint32_t>> allocate(const Wanted& wanted, const std::vector<Entry>& live, Shortage& shortage) const;
  Result<std::uint32_t> next_cid(const std::vector<Entry>& live) const;

  os::Paths paths_;
  os::Path sockets_;
};

// pick_cpus is what a Nitro parent's allocator would give: pairs of sibling hyperthreads n and n + half, never CPU 0 and
// its sibling, none of `used`. A machine with too few CPUs is taken to have as many as needed, since an enclave of the
// local platform shares them anyway.
std::vector<std::uint32_t> pick_cpus(std::uint32_t count, std::uint32_t machine_cpus, const std::vector<std::uint32_t>& used);

}  // namespace casemate::runtime
