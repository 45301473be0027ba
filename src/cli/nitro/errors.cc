// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/errors.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/time_text.h"
#include "os/file.h"
#include "os/paths.h"

namespace casemate::cli::nitro {
namespace {

constexpr std::array kCodes = {
    CodeInfo{ECode::kUnspecified, "Unspecified error", "An error that has no number of its own."},
    CodeInfo{ECode::kMissingArgument, "Missing mandatory argument", "A flag that the command needs was not given."},
    CodeInfo{ECode::kConflictingArgument, "Conflicting arguments",
             "Two flags were given that exclude each other, such as --cpu-count and --cpu-ids. Keep one of them."},
    CodeInfo{ECode::kInvalidArgument, "Invalid argument provided",
             "A flag's value is not of the kind that the flag takes, such as a CPU count that is not a number."},
    CodeInfo{ECode::kSocketPair, "Socket pair creation failure",
             "nitro-cli could not make the socket pair through which it talks to the new enclave process."},
    CodeInfo{ECode::kProcessSpawn, "Process spawn failure",
             "nitro-cli could not start the process that runs the enclave. Is casemate-enclave beside nitro-cli?"},
    CodeInfo{ECode::kDaemonize, "Daemonize process failure", "The enclave process could not detach from the terminal."},
    CodeInfo{ECode::kReadFromDisk, "Read from disk failure",
             "The folder of the enclaves' sockets could not be read. Does it exist, and may you read it?"},
    CodeInfo{ECode::kUnusableConnection, "Unusable connection error",
             "The connection to the enclave process does not exist or was closed."},
    CodeInfo{ECode::kSocketClose, "Socket close error", "A connection could not be closed in order."},
    CodeInfo{ECode::kConnectTimeout, "Socket connect set timeout error", "A socket's timeout could not be set."},
    CodeInfo{ECode::kSocket, "Socket error", "A socket operation failed that has no number of its own."},
    CodeInfo{ECode::kEpoll, "Epoll error", "The enclave process could not watch its descriptors."},
    CodeInfo{ECode::kInotify, "Inotify error", "The enclave's socket could not be watched for removal."},
    CodeInfo{ECode::kInvalidCommand, "Invalid command", "An unknown command or argument came over the control socket."},
    CodeInfo{ECode::kLock, "Lock acquire failure", "A lock that guards the list of enclaves could not be taken."},
    CodeInfo{ECode::kThreadJoin, "Thread join failure", "A thread could not be waited for."},
    CodeInfo{ECode::kSerde, "Serde error", "A command or a reply could not be encoded or decoded."},
    CodeInfo{ECode::kFilePermissions, "File permissions error",
             "The log file's permissions may only be changed by its owner."},
    CodeInfo{ECode::kFileOperation, "File operation failure",
             "A file could not be opened, read, written or sought in: the EIF of run-enclave, for instance."},
    CodeInfo{ECode::kDuplicateCpus, "Invalid CPU configuration", "The same CPU was named twice."},
    CodeInfo{ECode::kCpuNotInPool, "No such CPU available in the pool",
             "A CPU was named that is not in the pool set aside for enclaves."},
    CodeInfo{ECode::kInsufficientCpus, "Insufficient CPUs available in the pool",
             "More CPUs were asked for than the pool set aside for enclaves holds."},
    CodeInfo{ECode::kMalformedCpuId, "Malformed CPU ID error", "The machine's list of CPUs could not be read."},
    CodeInfo{ECode::kCpu, "CPU error", "A range of CPUs is not one: 0-3-7, for instance."},
    CodeInfo{ECode::kHugepageFlag, "No such hugepage flag error", "A huge page size was asked for that does not exist."},
    CodeInfo{ECode::kInsufficientMemoryRequested, "Insufficient memory requested",
             "An enclave needs at least four times the size of its EIF, and more than 0 MiB. Raise --memory."},
    CodeInfo{ECode::kInsufficientMemoryAvailable, "Insufficient memory available",
             "More memory was asked for than the machine can give to an enclave."},
    CodeInfo{ECode::kInvalidEnclaveFd, "Invalid enclave descriptor", "The enclave could not be created."},
    CodeInfo{ECode::kIoctl, "Ioctl failure", "A request to the enclave driver failed."},
    CodeInfo{ECode::kIoctlImageLoadInfo, "Ioctl image get load info failure",
             "The driver did not say where the image must be loaded."},
    CodeInfo{ECode::kIoctlSetMemory, "Ioctl set memory region failure", "The driver refused a memory region."},
    CodeInfo{ECode::kIoctlAddVcpu, "Ioctl add vCPU failure", "The driver refused a CPU."},
    CodeInfo{ECode::kIoctlStart, "Ioctl start enclave failure", "The enclave could not be started."},
    CodeInfo{ECode::kMemoryOverflow, "Memory overflow", "The EIF does not fit where it must be loaded."},
    CodeInfo{ECode::kEifParsing, "EIF file parsing error", "The file is not a whole, valid enclave image."},
    CodeInfo{ECode::kBoot, "Enclave boot failure",
             "The enclave ended, or kept silent, before its application was started. The reason follows."},
    CodeInfo{ECode::kEventWait, "Enclave event wait error", "Waiting for the enclave's events failed."},
    CodeInfo{ECode::kCommandNotExecuted, "Enclave process command not executed error",
             "An enclave process refused a command or failed to carry it out."},
    CodeInfo{ECode::kProcessConnection, "Enclave process connection failure",
             "No enclave process could be reached: it is not running, or did not answer in time."},
    CodeInfo{ECode::kSocketPath, "Socket path not found", "No socket path can be made of this enclave ID."},
    CodeInfo{ECode::kSendReply, "Enclave process send reply failure",
             "The enclave process could not send the result of a command."},
    CodeInfo{ECode::kMmap, "Enclave mmap error", "The enclave's memory could not be allocated."},
    CodeInfo{ECode::kMunmap, "Enclave munmap error", "The enclave's memory could not be given back."},
    CodeInfo{ECode::kConsoleConnection, "Enclave console connection failure",
             "The console cannot be connected to. Only an enclave that was run with --debug-mode has one."},
    CodeInfo{ECode::kConsoleRead, "Enclave console read error", "Reading from the enclave's console failed."},
    CodeInfo{ECode::kConsoleWrite, "Enclave console write output error",
             "What was read from the enclave's console could not be written."},
    CodeInfo{ECode::kInteger, "Integer parsing error", "The enclave's CID could not be read."},
    CodeInfo{ECode::kEifBuild, "EIF building error", "The enclave image could not be built. The reason follows."},
    CodeInfo{ECode::kDockerBuild, "Docker image build error", "The Docker image could not be built."},
    CodeInfo{ECode::kDockerPull, "Docker image pull error", "The image could not be found or pulled."},
    CodeInfo{ECode::kArtifactsPath, "Artifacts path environment variable not set",
             "NITRO_CLI_ARTIFACTS must name the folder that build-enclave works in."},
    CodeInfo{ECode::kBlobsPath, "Blobs path environment variable not set",
             "NITRO_CLI_BLOBS must name the folder that holds kernel, command line and init."},
    CodeInfo{ECode::kClockSkew, "Clock skew error", "The time between two reads of the console could not be told."},
    CodeInfo{ECode::kSignalMask, "Signal masking error", "Signals could not be blocked before a process was started."},
    CodeInfo{ECode::kSignalUnmask, "Signal unmasking error", "Signals could not be let through again."},
    CodeInfo{ECode::kLogger, "Logger error", "The log could not be opened."},
    CodeInfo{ECode::kHasher, "Hasher error", "A digest could not be computed over its input."},
    CodeInfo{ECode::kNaming, "Naming error", "The enclave name is not valid, names no enclave, or names several."},
    CodeInfo{ECode::kEifSignatureCheck, "EIF signature checker error",
             "The image's signature does not verify, or its certificate is not valid now."},
    CodeInfo{ECode::kEifSigning, "EIF signing error", "The image could not be signed."},
};
static_assert(kCodes.size() == 61);

constexpr std::string_view kHelpLink = "https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#";

std::string backtrace_text(const Failure& failure) {
  std::string text = "  Action: " + failure.action + "\n  Subactions:";
  for (const std::string& step : failure.steps) text += "\n    " + step;
  text += "\n    " + failure.error.message();
  return text;
}

Result<os::Path> log_folder() {
  if (const char* variable = std::getenv("NITRO_CLI_LOGS_PATH"); variable != nullptr && *variable != '\0')
    return os::Path(variable);
  return TRY(os::paths_from_environment()).run / "logs";
}

Result<std::string> write_log(const Failure& failure, const Clock& clock) {
  const os::Path folder = TRY(log_folder());
  TRY(os::make_private_directories(folder));
  const os::Path path = folder / fmt::format("err{}-{}.log", format_rfc3339_millis(clock.now()), ::getpid());
  const std::string text = fmt::format("[ {} ] {}: {}\n{}\n", code_text(failure.code), info(failure.code).title,
                                       failure.error.message(), backtrace_text(failure));
  TRY(os::create_file(path, as_bytes(text), 0600));
  return path.string();
}

}  // namespace

std::span<const CodeInfo> all_codes() { return kCodes; }

const CodeInfo& info(ECode code) { return kCodes.at(static_cast<std::size_t>(code)); }

std::optional<ECode> find_code(std::string_view text) {
  if (!text.empty() && (text.front() == 'E' || text.front() == 'e')) text.remove_prefix(1);
  if (text.empty() || text.size() > 2) return std::nullopt;
  std::size_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<std::size_t>(digit - '0');
  }
  if (number >= kCodes.size()) return std::nullopt;
  return kCodes.at(number).code;
}

std::string code_text(ECode code) { return fmt::format("E{:02}", static_cast<unsigned>(code)); }

ECode default_code(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kMalformed: return ECode::kInvalidArgument;
    case ErrorCode::kUnsupported: return ECode::kCommandNotExecuted;
    case ErrorCode::kLimit: return ECode::kInsufficientMemoryAvailable;
    case ErrorCode::kUntrusted: return ECode::kEifSignatureCheck;
    case ErrorCode::kDenied: return ECode::kCommandNotExecuted;
    case ErrorCode::kNotFound: return ECode::kFileOperation;
    case ErrorCode::kConflict: return ECode::kConflictingArgument;
    case ErrorCode::kUnavailable: return ECode::kProcessConnection;
    case ErrorCode::kInternal: return ECode::kUnspecified;
  }
  return ECode::kUnspecified;
}

int exit_status(ECode code) { return code == ECode::kUnspecified ? 1 : static_cast<int>(code); }

std::string describe(const Failure& failure, std::string_view log_path, ShowBacktrace backtrace) {
  std::string text = fmt::format("[ {} ] {}: {}\n\nFor more details, please visit {}{}", code_text(failure.code),
                                 info(failure.code).title, failure.error.message(), kHelpLink, code_text(failure.code));
  if (backtrace == ShowBacktrace::kYes) text += "\n\nBacktrace:\n" + backtrace_text(failure);
  if (!log_path.empty())
    text += fmt::format("\n\nIf you open a support ticket, please provide the error log found at \"{}\"", log_path);
  return text;
}

int report(const Failure& failure, const Clock& clock) {
  const char* variable = std::getenv("BACKTRACE");
  const bool wanted = variable != nullptr && std::string_view(variable) == "1";
  // A log that cannot be written must not hide the failure itself.
  const Result<std::string> log = write_log(failure, clock);
  fmt::print(stderr, "{}\n", describe(failure, log ? log.value() : std::string(), wanted ? ShowBacktrace::kYes : ShowBacktrace::kNo));
  return exit_status(failure.code);
}

int report(const Failure& failure) { return report(failure, SystemClock()); }

}  // namespace casemate::cli::nitro
