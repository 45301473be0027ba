// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/run_enclave.h"

#include <charconv>
#include <limits>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/nitro/console.h"
#include "cli/nitro/service.h"
#include "runtime/client.h"

namespace casemate::cli::nitro {
namespace {

const std::string kRunAction = "Run Enclave";
constexpr std::size_t kConfigBytes = 64 * 1024;

template <typename T>
Result<T> parse_number(std::string_view flag, std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return malformed("{}: `{}`, want a whole number", flag, text);
  return number;
}

// The CIDs that are not an enclave's: CID 0 asks for the next free one, as on AWS.
Result<std::optional<std::uint32_t>> check_cid(std::uint32_t cid) {
  if (cid == 0) return std::optional<std::uint32_t>();
  if (cid < runtime::kFirstFreeCid || cid == std::numeric_limits<std::uint32_t>::max())
    return malformed("enclave-cid: {} is reserved, want {} or more", cid, runtime::kFirstFreeCid);
  return std::optional(cid);
}

// The flags that AWS's tool has not, which go with a --config file too.
Result<void> read_extensions(const RunEnclaveOptions& options, runtime::RunRequest& request) {
  for (const std::string& fault : options.faults) request.faults.add(TRY(runtime::parse_fault(fault)));
  if (!options.boot_timeout.empty()) {
    request.boot_timeout_s = TRY(parse_number<std::uint32_t>("boot-timeout", options.boot_timeout));
    if (request.boot_timeout_s == 0) return malformed("boot-timeout: 0, want at least 1 second");
  }
  if (options.wait_ready)
    request.wait_ready = options.wait_ready->empty() ? 0 : TRY(parse_number<std::uint32_t>("wait-ready", *options.wait_ready));
  for (const std::string& port : options.published) request.published.push_back(TRY(runtime::parse_published(port)));
  if (!options.restart.empty()) request.restart = TRY(runtime::parse_restart(options.restart, request.restart_limit));
  return {};
}

Result<runtime::RunRequest> read_flags(const RunEnclaveOptions& options) {
  runtime::RunRequest request;
  request.eif_path = options.eif_path;
  request.enclave_name = options.enclave_name;
  request.memory_mib = TRY(parse_memory(options.memory));
  if (!options.enclave_cid.empty())
    request.enclave_cid = TRY(check_cid(TRY(parse_number<std::uint32_t>("enclave-cid", options.enclave_cid))));
  if (!options.cpu_count.empty()) {
    request.cpu_count = TRY(parse_number<std::uint32_t>("cpu-count", options.cpu_count));
    if (request.cpu_count == 0) return malformed("cpu-count: 0, want at least 1");
  }
  for (const std::string& id : options.cpu_ids) request.cpu_ids.push_back(TRY(parse_number<std::uint32_t>("cpu-ids", id)));
  TRY(read_extensions(options, request));
  request.debug_mode = options.debug_mode || options.attach_console;
  request.attach_console = options.attach_console;
  // The same bounds as a --config file's.
  return runtime::parse_run_request(runtime::to_json(request));
}

int run(const RunEnclaveOptions& options) {
  std::variant<runtime::RunRequest, Failure> parsed = Failure{ECode::kUnspecified, internal("unset"), {}, {}};
  if (options.config.empty()) {
    parsed = run_request(options);
  } else {
    const Result<std::string> text = os::read_file(options.config, kConfigBytes);
    if (!text) return report({ECode::kFileOperation, text.error(), kRunAction, {"read the configuration"}});
    parsed = config_request(*text);
  }
  if (const auto* failure = std::get_if<Failure>(&parsed)) return report(*failure);
  auto& request = std::get<runtime::RunRequest>(parsed);
  if (options.attach_console) request.attach_console = request.debug_mode = true;
  if (!options.config.empty()) {
    if (Result<void> more = read_extensions(options, request); !more)
      return report({ECode::kInvalidArgument, std::move(more).error(), kRunAction, {"read the flags"}});
  }
  for (const std::string_view fault : request.faults.names()) fmt::print(stderr, "warning: this enclave has the fault {}\n", fault);

  const Result<os::Path> self = os::executable_path();
  if (!self) return report({ECode::kProcessSpawn, self.error(), kRunAction, {"find casemate-enclave"}});
  const os::Path program = self->parent_path() / "casemate-enclave";
  auto outcome = runtime::start_enclave(program, request, [](std::string_view line) { fmt::print(stderr, "{}", line); });
  if (!outcome) {
    const bool ended = outcome.error().code() == ErrorCode::kUnavailable;
    return report({ended ? ECode::kProcessConnection : ECode::kProcessSpawn, outcome.error(), kRunAction,
                   {"start the enclave process"}});
  }
  if (const auto* failure = std::get_if<runtime::StartFailure>(&*outcome))
    return report({start_code(failure->step, failure->error), failure->error, kRunAction,
                   {"start the enclave", std::string(runtime::to_string(failure->step))}});

  auto& started = std::get<runtime::Started>(*outcome);
  fmt::print("{}\n", json::encode_pretty(started.shown));
  std::fflush(stdout);
  const json::Value shown = started.shown;
  if (const Result<void> told = tell_service_manager(shown); !told) fmt::print(stderr, "warning: {}\n", told.error().message());
  if (!request.attach_console) return 0;
  const std::int64_t* cid = shown.int_at("EnclaveCID");
  return follow_console(started.connection, cid == nullptr ? 0 : static_cast<std::uint32_t>(*cid), std::nullopt);
}

}  // namespace

Result<std::uint64_t> parse_memory(std::string_view text) {
  std::uint64_t factor = 1;
  std::string_view digits = text;
  if (!digits.empty()) {
    const char unit = digits.back();
    if (unit == 'M' || unit == 'm') factor = 1;
    else if (unit == 'G' || unit == 'g') factor = 1024;
    else if (unit == 'T' || unit == 't') factor = 1024 * 1024;
    if (unit < '0' || unit > '9') digits.remove_suffix(1);
    if (digits.size() != text.size() && factor == 1 && unit != 'M' && unit != 'm')
      return malformed("memory: `{}`, want MiB or a number with M, G or T", text);
  }
  const Result<std::uint64_t> number = parse_number<std::uint64_t>("memory", digits);
  if (!number || *number > (std::uint64_t{1} << 40) / factor)
    return malformed("memory: `{}`, want MiB or a number with M, G or T", text);
  return *number * factor;
}

std::variant<runtime::RunRequest, Failure> run_request(const RunEnclaveOptions& options) {
  Result<runtime::RunRequest> request = read_flags(options);
  if (request.ok()) return request.take();
  return Failure{ECode::kInvalidArgument, std::move(request).error(), kRunAction, {"read the flags"}};
}

std::variant<runtime::RunRequest, Failure> config_request(std::string_view json_text) {
  const Result<json::Value> value = json::parse(json_text);
  if (!value)
    return Failure{ECode::kSerde, Error(value.error()).in("config"), kRunAction, {"read the configuration"}};
  Result<runtime::RunRequest> request = runtime::parse_run_request(*value);
  if (!request) {
    const bool both = request.error().code() == ErrorCode::kConflict;
    return Failure{both ? ECode::kConflictingArgument : ECode::kInvalidArgument, std::move(request).error().in("config"),
                   kRunAction, {"read the configuration"}};
  }
  if (request->enclave_cid) {
    Result<std::optional<std::uint32_t>> cid = check_cid(*request->enclave_cid);
    if (!cid) return Failure{ECode::kInvalidArgument, std::move(cid).error().in("config"), kRunAction, {}};
    request->enclave_cid = *cid;
  }
  return request.take();
}

ECode start_code(runtime::StartStep step, const Error& error) {
  using runtime::StartStep;
  switch (step) {
    case StartStep::kRequest: return ECode::kInvalidCommand;
    case StartStep::kOpenImage: return ECode::kFileOperation;
    case StartStep::kReadImage: return ECode::kEifParsing;
    case StartStep::kMemory: return ECode::kInsufficientMemoryRequested;
    case StartStep::kSignature: return ECode::kEifSignatureCheck;
    case StartStep::kCpus: return error.code() == ErrorCode::kMalformed ? ECode::kDuplicateCpus : ECode::kCpuNotInPool;
    case StartStep::kReserve:
      if (error.code() == ErrorCode::kConflict) return ECode::kIoctlStart;
      if (error.code() == ErrorCode::kLimit) return ECode::kCpuNotInPool;
      return error.code() == ErrorCode::kUnavailable ? ECode::kLock : ECode::kFileOperation;
    case StartStep::kCpuPool: return ECode::kCpuNotInPool;
    case StartStep::kCpuCount: return ECode::kInsufficientCpus;
    case StartStep::kPoolMemory: return ECode::kInsufficientMemoryAvailable;
    case StartStep::kBoot: return error.code() == ErrorCode::kLimit ? ECode::kInsufficientMemoryAvailable : ECode::kBoot;
    case StartStep::kPublish: return ECode::kSocket;
  }
  return ECode::kUnspecified;
}

void add_run_enclave(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RunEnclaveOptions>();
  CLI::App* verb = app.add_subcommand("run-enclave", "Starts a new enclave");
  CLI::Option* config = verb->add_option("--config", options->config, "JSON file with the enclave's settings")->type_name("FILE");
  const auto own = [&](CLI::Option* option) { return option->excludes(config); };
  CLI::Option* ids = own(verb->add_option("--cpu-ids", options->cpu_ids, "CPUs to give to the enclave")->type_name("ID")->expected(1, 1024));
  CLI::Option* count = own(verb->add_option("--cpu-count", options->cpu_count, "Number of CPUs")->type_name("N"));
  ids->excludes(count);
  CLI::Option* memory = own(verb->add_option("--memory", options->memory, "Memory in MiB, or with the unit M, G or T")->type_name("MIB"));
  CLI::Option* eif = own(verb->add_option("--eif-path", options->eif_path, "Enclave image file to run")->type_name("FILE"));
  own(verb->add_option("--enclave-cid", options->enclave_cid, "CID of the enclave; 0 or none: the next free one")->type_name("CID"));
  own(verb->add_option("--enclave-name", options->enclave_name, "Name of the enclave; none: the image file's")->type_name("NAME"));
  own(verb->add_flag("--debug-mode", options->debug_mode, "Give the enclave a readable console and zero PCR0, PCR1 and PCR2"));
  verb->add_flag("--attach-console", options->attach_console, "Show the console once the enclave has started (implies --debug-mode)");
  verb->add_option("--fault", options->faults,
                   "Fault to inject, for tests of what depends on the enclave: expired-leaf, wrong-pcr, stale-document, "
                   "bad-signature, foreign-root, nsm-error, slow-nsm, boot-hang (not in AWS's tool)")
      ->type_name("NAME")
      ->delimiter(',');
  verb->add_option_function<std::string>(
          "--wait-ready", [options](const std::string& port) { options->wait_ready = port == "any" ? "" : port; },
          "Return only once the application listens on this vsock port, or on any (not in AWS's tool)")
      ->type_name("PORT|any");
  verb->add_option("--publish", options->published,
                   "Relay a TCP port of this machine's loopback, 0 for any free one, to a vsock port (not in AWS's tool)")
      ->type_name("HOST_PORT:VSOCK_PORT");
  verb->add_option("--restart", options->restart, "Start an application that ended again: no, on-failure[:MAX], always[:MAX] (not in AWS's tool)")
      ->type_name("POLICY");
  verb->add_option("--boot-timeout", options->boot_timeout, "Seconds until an enclave without heartbeat is given up; none: AWS's (not in AWS's tool)")
      ->type_name("SECONDS");
  verb->callback([=, &exit_code] {
    if (config->count() == 0) {
      if (eif->count() == 0) throw CLI::RequiredError("--eif-path");
      if (memory->count() == 0) throw CLI::RequiredError("--memory");
      if (ids->count() == 0 && count->count() == 0) throw CLI::RequiredError("--cpu-count or --cpu-ids");
    }
    exit_code = run(*options);
  });
}

}  // namespace casemate::cli::nitro
