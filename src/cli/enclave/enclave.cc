// SPDX-License-Identifier: Apache-2.0
#include "cli/enclave/enclave.h"

#include <fcntl.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "cli/enclave/nsm.h"
#include "crypto/rng.h"
#include "image/lanes.h"
#include "os/process.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/supervisor.h"

namespace casemate::cli::enclave {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr std::uint64_t kDefaultRootCache = std::uint64_t{4} << 30;

// control_fd reads the one flag; the descriptor must be open, which tells nitro-cli from a person at a shell.
UniqueFd control_fd(int argc, char** argv) {
  if (argc != 3 || std::string_view(argv[1]) != "--control-fd") return {};
  const std::string_view text = argv[2];
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc() || end != text.data() + text.size() || fd < 3 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return {};
  return UniqueFd(fd);
}

Result<UniqueFd> open_log(const os::Paths& paths) {
  const char* variable = std::getenv("NITRO_CLI_LOGS_PATH");
  const os::Path folder = variable != nullptr && *variable != '\0' ? os::Path(variable) : paths.run / "logs";
  TRY(os::make_private_directories(folder));
  return os::open(folder / "nitro_enclaves.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
}

// root_cache_bytes reads CASEMATE_ROOT_CACHE: MiB, or a number with M, G or T; 0 or `off` keeps no unpacked roots.
Result<std::uint64_t> root_cache_bytes() {
  const char* variable = std::getenv("CASEMATE_ROOT_CACHE");
  if (variable == nullptr || *variable == '\0') return kDefaultRootCache;
  std::string_view text = variable;
  if (text == "off") return std::uint64_t{0};
  const char unit = text.back();
  const unsigned shift = unit == 'T' || unit == 't' ? 40 : unit == 'G' || unit == 'g' ? 30 : 20;
  if (unit < '0' || unit > '9') text.remove_suffix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool known_unit = shift != 20 || unit == 'M' || unit == 'm' || (unit >= '0' && unit <= '9');
  if (error != std::errc() || end != text.data() + text.size() || !known_unit || number > (UINT64_MAX >> shift))
    return malformed("CASEMATE_ROOT_CACHE: `{}`, want MiB, a number with M, G or T, or off", variable);
  return number << shift;
}

Result<runtime::GuestExit> run(UniqueFd control, runtime::Registry& registry, const Clock& clock, const Log& log) {
  // The generator and the handlers made with it are used by the backend's threads until the guest is gone.
  crypto::SystemRng rng;
  const Result<std::uint64_t> most = root_cache_bytes();
  if (!most) log.warn("root-cache", {{"error", most.error().message()}});
  const std::unique_ptr<runtime::Backend> backend = TRY(runtime::sandbox::open_backend(
      {.interruptible_calls = false, .roots = registry.paths().unpacked_roots().native(), .most_root_bytes = most.ok() ? *most : 0}));
  runtime::Host host{.clock = clock,
                     .rng = rng,
                     .log = log,
                     .registry = registry,
                     .backend = *backend,
                     .make_nsm = [&](const runtime::NsmIdentity& identity) { return make_nsm(registry.paths(), identity, clock, rng); },
                     .make_lanes = [] { return std::make_unique<image::ThreadLanes>(); }};
  return runtime::supervise(std::move(control), host);
}

}  // namespace

int casemate_enclave(int argc, char** argv) {
  UniqueFd control = control_fd(argc, argv);
  if (!control) {
    fmt::print(stderr, "casemate-enclave is started by `nitro-cli run-enclave`\n");
    return kUsage;
  }
  os::harden_process();
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return kFailed;
  const SystemClock clock;
  Log log;
  const Result<UniqueFd> log_file = open_log(registry->paths());
  if (log_file)
    log = Log(clock, LogLevel::kInfo, [&log_file](std::string_view line) { (void)os::write_all(log_file->get(), as_bytes(line)); });
  const Result<runtime::GuestExit> ended = run(std::move(control), *registry, clock, log);
  if (!ended) log.error("enclave-process", {{"error", ended.error().message()}});
  if (!ended) return kFailed;
  return ended->signalled ? 128 + ended->status : ended->status;
}

}  // namespace casemate::cli::enclave
