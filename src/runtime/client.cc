// SPDX-License-Identifier: Apache-2.0
#include "runtime/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace casemate::runtime {
namespace {

using Steady = std::chrono::steady_clock;

// Ending a guest means waiting for all of its processes; a large one frees a lot of memory.
constexpr std::chrono::milliseconds kTerminationPatience{30'000};
// Reading, measuring and unpacking an image of some GiB.
constexpr std::chrono::milliseconds kStartPatience{180'000};
constexpr std::chrono::milliseconds kEndPatience{3000};

std::chrono::milliseconds boot_patience(const RunRequest& request) {
  if (request.boot_timeout_s != 0) return std::chrono::seconds(request.boot_timeout_s);
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(request.eif_path, error);
  return boot_timeout(error ? 0 : size, request.memory_mib);
}

ErrorCode find_code(std::string_view text) {
  constexpr std::array kCodes = {ErrorCode::kMalformed, ErrorCode::kUnsupported, ErrorCode::kLimit,
                                 ErrorCode::kUntrusted, ErrorCode::kDenied,      ErrorCode::kNotFound,
                                 ErrorCode::kConflict,  ErrorCode::kUnavailable, ErrorCode::kInternal};
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(), [text](ErrorCode code) { return to_string(code) == text; });
  return found == kCodes.end() ? ErrorCode::kInternal : *found;
}

Error decode_error(const json::Value& value) {
  const std::string* code = value.string_at("code");
  const std::string* message = value.string_at("message");
  if (code == nullptr || message == nullptr) return malformed("reply: an error without code and message");
  return {find_code(*code), *message};
}

// A socket that nobody listens on is left by a process that died.
void clear_stale(Registry& registry, const os::Path& socket) {
  if (registry.shares_sockets()) {
    // Removal fails, as it should, for a socket of someone else.
    (void)os::remove(socket);
  }
  (void)registry.purge();
}

}  // namespace

Result<json::Value> ask(Connection& connection, const json::Value& request, std::chrono::milliseconds patience) {
  TRY(connection.send(request));
  json::Value reply = TRY(connection.receive(patience));
  if (const json::Value* error = reply.find("error")) return decode_error(*error);
  return reply;
}

Result<Listing> list_enclaves(Registry& registry, Metadata metadata) {
  Listing listing;
  std::vector<Connection> asked;
  const json::Value request = json::Object{{"command", "describe"}, {"metadata", metadata == Metadata::kYes}};
  bool stale = false;
  for (const os::Path& path : TRY(registry.sockets())) {
    Result<UniqueFd> fd = connect_unix(path);
    if (!fd) {
      // kDenied is another user's enclave; kNotFound one that starts or ends just now, or a leftover of purge().
      if (fd.error().code() == ErrorCode::kUnavailable) clear_stale(registry, path);
      stale = stale || fd.error().code() == ErrorCode::kNotFound;
      continue;
    }
    Connection connection(fd.take());
    if (connection.send(request)) asked.push_back(std::move(connection));
  }
  if (stale && !registry.shares_sockets()) TRY(registry.purge());

  const auto deadline = Steady::now() + kReplyPatience;
  for (Connection& connection : asked) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
    const Result<json::Value> reply = connection.receive(std::max(left, std::chrono::milliseconds(0)));
    if (!reply) {
      // One that closes the connection ended meanwhile; one that stays silent is in trouble.
      if (Steady::now() >= deadline) ++listing.failed;
      continue;
    }
    Result<EnclaveInfo> info = parse_description(*reply);
    if (info.ok()) listing.enclaves.push_back(info.take());
    else ++listing.failed;
  }
  std::sort(listing.enclaves.begin(), listing.enclaves.end(), [](const EnclaveInfo& a, const EnclaveInfo& b) {
    return a.id.size() != b.id.size() ? a.id.size() < b.id.size() : a.id < b.id;
  });
  return listing;
}

Result<Connection> open_enclave(Registry& registry, std::string_view id) {
  const os::Path path = TRY(registry.socket_of(id));
  Result<UniqueFd> fd = connect_unix(path);
  if (fd.ok()) return Connection(fd.take());
  if (fd.error().code() == ErrorCode::kUnavailable) clear_stale(registry, path);
  if (fd.error().code() == ErrorCode::kUnavailable || fd.error().code() == ErrorCode::kNotFound)
    return not_found("enclave {}: not running", id);
  return std::move(fd).error().in(fmt::format("enclave {}", id));
}

Result<Terminated> terminate_enclave(Connection connection) {
  const json::Value reply = TRY(ask(connection, json::Object{{"command", "terminate"}}, kTerminationPatience));
  const std::string* name = reply.string_at("EnclaveName");
  const std::string* id = reply.string_at("EnclaveID");
  const json::Value* process = reply.find("process");
  if (name == nullptr || id == nullptr || process == nullptr) return malformed("reply: want EnclaveName, EnclaveID and process");
  const std::int64_t* pid = process->int_at("pid");
  const std::int64_t* ticks = process->int_at("start_ticks");
  if (pid != nullptr && ticks != nullptr) {
    const os::ProcessId supervisor{static_cast<pid_t>(*pid), static_cast<std::uint64_t>(*ticks)};
    const auto deadline = Steady::now() + kEndPatience;
    while (os::alive(supervisor) && Steady::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return Terminated{*name, *id};
}

Result<std::size_t> terminate_all(const os::Path& run_dir) {
  os::Paths paths;
  paths.run = run_dir;
  Registry registry(paths, {});
  std::error_code error;
  if (!std::filesystem::is_directory(paths.enclaves(), error)) return std::size_t{0};
  std::size_t count = 0;
  // Again while there are any: one may be starting just now.
  for (int pass = 0; pass < 5; ++pass) {
    TRY(registry.purge());
    const std::vector<Entry> entries = TRY(registry.entries());
    if (entries.empty()) break;
    std::vector<Connection> asked;
    for (const Entry& entry : entries) {
      if (Result<UniqueFd> fd = connect_unix(entry.socket); fd.ok()) asked.emplace_back(fd.take());
    }
    for (Connection& connection : asked) (void)connection.send(json::Object{{"command", "terminate"}});
    const auto deadline = Steady::now() + kEndPatience;
    for (Connection& connection : asked) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
      (void)connection.receive(std::max(left, std::chrono::milliseconds(0)));
    }
    for (const Entry& entry : entries) {
      // Those that answered are about to exit by themselves; the others get SIGTERM, then SIGKILL.
      TRY(os::end(entry.supervisor, kEndPatience).in(entry.id));
      ++count;
    }
  }
  TRY(registry.purge());
  return count;
}

Result<std::variant<Started, StartFailure>> start_enclave(const os::Path& program, const RunRequest& request,
                                                          const std::function<void(std::string_view)>& say) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error("socketpair");
  Connection ours{UniqueFd(ends[0])};
  UniqueFd theirs(ends[1]);
  // Whoever reads nitro-cli's output to its end must not wait for the enclave's.
  const UniqueFd nothing = TRY(os::open("/dev/null", O_RDWR));
  const Result<os::ProcessId> spawned = os::spawn({.arguments = {program.native(), "--control-fd", std::to_string(theirs.get())},
                                                   .extra_environment = {},
                                                   .new_session = true,
                                                   .stdout_fd = nothing.get(),
                                                   .stderr_fd = nothing.get(),
                                                   .keep_fds = {theirs.get()}});
  if (!spawned) return spawned.error();
  theirs.reset();
  return follow_start(std::move(ours), request, say).in(program.filename().native());
}

Result<std::variant<Started, StartFailure>> follow_start(Connection ours, const RunRequest& request,
                                                         const std::function<void(std::string_view)>& say) {
  TRY(ours.send(json::Object{{"run", to_json(request)}}));
  // The enclave process bounds the boot, and the wait for the application, itself.
  const auto deadline = Steady::now() + kStartPatience + 2 * boot_patience(request);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now());
    const json::Value message = TRY(ours.receive(std::max(left, std::chrono::milliseconds(0))));
    if (const std::string* line = message.string_at("say")) {
      say(*line);
    } else if (const json::Value* started = message.find("started"); started != nullptr && started->if_object() != nullptr) {
      return std::variant<Started, StartFailure>(Started{started->object(), std::move(ours)});
    } else if (const json::Value* failure = message.find("failed")) {
      const std::string* step = failure->string_at("step");
      const std::optional<StartStep> found = step == nullptr ? std::nullopt : find_start_step(*step);
      return std::variant<Started, StartFailure>(StartFailure{found.value_or(StartStep::kBoot), decode_error(*failure)});
    } else {
      return malformed("an unknown message");
    }
  }
}

}  // namespace casemate::runtime
