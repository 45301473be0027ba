// SPDX-License-Identifier: Apache-2.0
// From a RunRequest to a running guest: the checks and steps of run-enclave on the enclave process's side.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "eif/reader.h"
#include "runtime/backend.h"
#include "runtime/enclave.h"
#include "runtime/fault.h"
#include "runtime/registry.h"

namespace casemate::runtime {

// StartStep: where a start failed; nitro-cli has a number for each.
enum class StartStep { kRequest, kOpenImage, kReadImage, kMemory, kSignature, kCpus, kReserve, kCpuPool, kCpuCount, kPoolMemory, kBoot, kPublish };
std::string_view to_string(StartStep step);
std::optional<StartStep> find_start_step(std::string_view text);

// NsmIdentity is what the hypervisor knows of an enclave. In debug mode the first three registers are zero.
struct NsmIdentity {
  std::array<crypto::Sha384, 16> pcrs{};
  std::string module_id;
  std::string region;
  std::uint64_t slot = 0;
  Faults faults;
};
using NsmHandler = std::function<Bytes(ByteView request)>;
using NsmFactory = std::function<Result<NsmHandler>(const NsmIdentity&)>;

// Host: the effects that the enclave process's main() gives.
struct Host {
  const Clock& clock;
  Rng& rng;
  const Log& log;
  Registry& registry;
  Backend& backend;
  NsmFactory make_nsm;
  // Threads to measure the image with, ended before the guest starts; none to measure without.
  std::function<std::unique_ptr<eif::Lanes>()> make_lanes;
};

// nsm_identity computes the registers: 0, 1, 2 and 8 from the image, 3 from the role and 4 from the instance, as a
// Nitro hypervisor does.
NsmIdentity nsm_identity(const eif::Measurements& measured, const os::Platform& platform, SlotId slot, const RunRequest& request);

// Activity is what is known of a guest beside its end. Its members may be used from any thread.
class Activity {
 public:
  Activity();
  void note_listening(std::uint32_t port);
  void note_nsm_request() { ++nsm_requests_; }
  std::vector<std::uint32_t> listening() const;  // ascending; ports stay in it when the application closes them
  std::uint64_t nsm_requests() const { return nsm_requests_; }
  // event is readable from the first port on.
  int event() const { return event_.get(); }
  std::chrono::steady_clock::time_point since() const { return since_; }

 private:
  mutable std::mutex mutex_;
  std::set<std::uint32_t> listening_;
  std::atomic<std::uint64_t> nsm_requests_ = 0;
  UniqueFd event_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

// A started enclave.
struct Launched {
  Entry entry;
  EnclaveInfo info;
  json::Object metadata;  // for describe-enclaves --metadata
  SlotId slot;
  std::chrono::milliseconds ready_patience{};  // the boot's, for --wait-ready
  // Shared with the backend's threads, through the guest's callbacks.
  std::shared_ptr<Activity> activity;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Guest> guest;
  UniqueFd console;   // read end, non-blocking; invalid in production mode
  UniqueFd listener;  // the control socket
};

// launch runs the steps in order and leaves `step` at the one that failed; `say` takes the lines that run-enclave prints on
// standard error. On failure nothing is left behind. Errors: as the step's.
Result<Launched> launch(const RunRequest& request, Host& host, const std::function<void(std::string_view)>& say, StartStep& step);

// relaunch puts a new guest of the same image, with a new NSM and console, in place of one that has ended. Errors: as
// launch; kUntrusted where the image is no longer the one that was launched.
Result<void> relaunch(Launched& launched, const RunRequest& request, Host& host);

}  // namespace casemate::runtime
