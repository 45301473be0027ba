// SPDX-License-Identifier: Apache-2.0
// Asking enclave processes: what nitro-cli and `casemate down` do over the control sockets.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "runtime/launch.h"
#include "runtime/registry.h"
#include "runtime/wire.h"

namespace casemate::runtime {

// How long an enclave process may take to answer (nitro-cli's own bound).
inline constexpr std::chrono::milliseconds kReplyPatience{3000};

enum class Metadata { kNo, kYes };

struct Listing {
  std::vector<EnclaveInfo> enclaves;  // by age
  std::size_t failed = 0;             // enclave processes that did not answer
};
// list_enclaves asks every enclave process and clears away what dead ones left. Errors: kNotFound (the folder of sockets
// that NITRO_CLI_SOCKETS_PATH names), kDenied.
Result<Listing> list_enclaves(Registry& registry, Metadata metadata);

// open_enclave connects to the enclave with this ID. Errors: kNotFound (no such enclave), kMalformed (no EnclaveID).
Result<Connection> open_enclave(Registry& registry, std::string_view id);

// ask sends a request and receives the reply; an error that the enclave process replies comes back as one. `patience` bounds
// the wait. Errors: as replied, kUnavailable.
Result<json::Value> ask(Connection& connection, const json::Value& request, std::chrono::milliseconds patience);

struct Terminated {
  std::string name;
  std::string id;
};
// terminate_enclave returns once the enclave, its process and its run files are gone. Errors: kDenied (another user's),
// kUnavailable (no answer).
Result<Terminated> terminate_enclave(Connection connection);

// terminate_all ends every enclave under a run folder, those with a dead, stopped or half-started enclave process included,
// and clears away their sockets and folders. Returns how many there were.
Result<std::size_t> terminate_all(const os::Path& run_dir);

// StartFailure is a start that the enclave process refused; `step` tells where.
struct StartFailure {
  StartStep step;
  Error error;
};
struct Started {
  json::Object shown;     // run_json
  Connection connection;  // goes on with the console when it was to be attached
};
// start_enclave spawns `program` (casemate-enclave), hands it the request and follows the start; `say` takes what it says
// meanwhile. The outer errors are of spawning and of the connection: kNotFound or kDenied (program), kUnavailable (it
// ended without an answer).
Result<std::variant<Started, StartFailure>> start_enclave(const os::Path& program, const RunRequest& request,
                                                          const std::function<void(std::string_view)>& say);
// follow_start is start_enclave's second half, with an enclave process that is there already.
Result<std::variant<Started, StartFailure>> follow_start(Connection enclave, const RunRequest& request,
                                                         const std::function<void(std::string_view)>& say);

}  // namespace casemate::runtime
