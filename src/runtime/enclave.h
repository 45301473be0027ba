// SPDX-License-Identifier: Apache-2.0
// What is asked of run-enclave and what describe-enclaves tells: the types and their JSON, in nitro-cli's names.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "json/value.h"
#include "runtime/fault.h"
#include "runtime/publish.h"

namespace casemate::runtime {

// CIDs below this one are never an enclave's: 0 is the hypervisor, 1 the local loopback, 2 the host, 3 the parent.
inline constexpr std::uint32_t kFirstFreeCid = 4;
// The hypervisor hands out CIDs from this one upward.
inline constexpr std::uint32_t kFirstAutomaticCid = 16;
inline constexpr std::uint32_t kParentCid = 3;

// Restart says when an application that ended is started again, in the same enclave record.
enum class Restart { kNo, kOnFailure, kAlways };
std::string_view to_string(Restart restart);  // "no", "on-failure", "always"
// parse_restart reads `no`, `on-failure[:MAX]` or `always[:MAX]`; `limit` is MAX, 0 for none. Errors: kMalformed.
Result<Restart> parse_restart(std::string_view text, std::uint32_t& limit);

// RunRequest is the content of run-enclave's flags, and of its --config file.
struct RunRequest {
  std::string eif_path;
  std::string enclave_name;               // empty: the EIF's file name without .eif
  std::optional<std::uint32_t> enclave_cid;  // unset: chosen
  std::uint32_t cpu_count = 0;            // 0: cpu_ids says which
  std::vector<std::uint32_t> cpu_ids;
  std::uint64_t memory_mib = 0;
  bool debug_mode = false;
  bool attach_console = false;  // implies debug_mode
  // Beyond AWS.
  Faults faults;
  std::uint32_t boot_timeout_s = 0;  // 0: boot_timeout()
  // run-enclave returns only when the application listens on this vsock port; 0: on any.
  std::optional<std::uint32_t> wait_ready;
  std::vector<PublishedPort> published;
  Restart restart = Restart::kNo;
  std::uint32_t restart_limit = 0;
};

// boot_timeout is how long nitro-cli gives an enclave until its heartbeat: 90 s for each begun 6 GiB of image and again
// for each begun 100 GiB of memory.
std::chrono::milliseconds boot_timeout(std::uint64_t image_bytes, std::uint64_t memory_mib);

// parse_run_request checks types, names and ranges; a member that it does not know is refused. Errors: kMalformed naming
// the member, kConflict when both cpu_count and cpu_ids are there.
Result<RunRequest> parse_run_request(const json::Value& value);
json::Value to_json(const RunRequest& request);

enum class State { kRunning, kTerminating, kEmpty };
std::string_view to_string(State state);  // RUNNING, TERMINATING, EMPTY

struct EnclaveInfo {
  std::string name;
  std::string id;
  pid_t pid = 0;  // of the enclave process on the parent
  std::uint32_t cid = 0;
  std::vector<std::uint32_t> cpu_ids;
  std::uint64_t memory_mib = 0;
  State state = State::kRunning;
  bool debug_mode = false;
  Faults faults;              // those asked for; shown only where there are any
  std::vector<PublishedPort> published;  // likewise
  json::Object measurements;  // HashAlgorithm, PCR0, ... of the image, whatever the mode
  json::Object metadata;      // ImageName, ImageVersion, Metadata; empty unless asked for
};

// describe_json has the members of describe-enclaves, in its order; run_json those of run-enclave.
json::Object describe_json(const EnclaveInfo& info);
json::Object run_json(const EnclaveInfo& info);
// parse_description reads describe_json. Errors: kMalformed naming the member.
Result<EnclaveInfo> parse_description(const json::Value& value);

// SlotId: an enclave's number, 48 bits of its creation time in milliseconds and 16 random ones.
struct SlotId {
  std::uint64_t value = 0;
  static SlotId make(WallTime now, Rng& rng);
};
// enclave_id is nitro-cli's EnclaveID, without leading zeros; module_id is the NSM's, with all sixteen digits.
std::string enclave_id(std::string_view instance_id, SlotId slot);
std::string module_id(std::string_view instance_id, SlotId slot);

// default_name is the file name of an EIF without its extension.
std::string default_name(std::string_view eif_path);

}  // namespace casemate::runtime
