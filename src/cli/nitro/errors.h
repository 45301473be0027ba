// SPDX-License-Identifier: Apache-2.0
// nitro-cli's numbered errors: what is printed, what is logged, and the exit status.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace casemate::cli::nitro {

// ECode: the number after the E, which is also the exit status (E00 exits with 1: a failure never exits with 0).
enum class ECode : std::uint8_t {
  kUnspecified = 0,
  kMissingArgument = 1,
  kConflictingArgument = 2,
  kInvalidArgument = 3,
  kSocketPair = 4,
  kProcessSpawn = 5,
  kDaemonize = 6,
  kReadFromDisk = 7,
  kUnusableConnection = 8,
  kSocketClose = 9,
  kConnectTimeout = 10,
  kSocket = 11,
  kEpoll = 12,
  kInotify = 13,
  kInvalidCommand = 14,
  kLock = 15,
  kThreadJoin = 16,
  kSerde = 17,
  kFilePermissions = 18,
  kFileOperation = 19,
  kDuplicateCpus = 20,
  kCpuNotInPool = 21,
  kInsufficientCpus = 22,
  kMalformedCpuId = 23,
  kCpu = 24,
  kHugepageFlag = 25,
  kInsufficientMemoryRequested = 26,
  kInsufficientMemoryAvailable = 27,
  kInvalidEnclaveFd = 28,
  kIoctl = 29,
  kIoctlImageLoadInfo = 30,
  kIoctlSetMemory = 31,
  kIoctlAddVcpu = 32,
  kIoctlStart = 33,
  kMemoryOverflow = 34,
  kEifParsing = 35,
  kBoot = 36,
  kEventWait = 37,
  kCommandNotExecuted = 38,
  kProcessConnection = 39,
  kSocketPath = 40,
  kSendReply = 41,
  kMmap = 42,
  kMunmap = 43,
  kConsoleConnection = 44,
  kConsoleRead = 45,
  kConsoleWrite = 46,
  kInteger = 47,
  kEifBuild = 48,
  kDockerBuild = 49,
  kDockerPull = 50,
  kArtifactsPath = 51,
  kBlobsPath = 52,
  kClockSkew = 53,
  kSignalMask = 54,
  kSignalUnmask = 55,
  kLogger = 56,
  kHasher = 57,
  kNaming = 58,
  kEifSignatureCheck = 59,
  kEifSigning = 60,
};

struct CodeInfo {
  ECode code;
  std::string_view title;    // "Insufficient memory requested"
  std::string_view meaning;  // one or two sentences: when it happens and what to do
};

// all_codes lists E00 to E60 in order.
std::span<const CodeInfo> all_codes();
const CodeInfo& info(ECode code);
// find_code reads "E26", "e26" or "26".
std::optional<ECode> find_code(std::string_view text);
// code_text is "E26".
std::string code_text(ECode code);

// Failure: an error of one verb. `action` is the verb in words ("Run Enclave"); `steps` go from the outermost inwards
// and are shown with the backtrace only.
struct Failure {
  ECode code;
  Error error;
  std::string action;
  std::vector<std::string> steps;
};

// default_code is the E-code of an error that no step has given a closer one.
ECode default_code(const Error& error);

int exit_status(ECode code);

// describe gives the text for stderr, without a final newline: `[ E26 ] title: what was found, want what`, the help link,
// with `backtrace` also the steps, and the log's path when it is not empty.
enum class ShowBacktrace { kNo, kYes };
std::string describe(const Failure& failure, std::string_view log_path, ShowBacktrace backtrace);

// report writes the error log to NITRO_CLI_LOGS_PATH, prints describe() on standard error (with the backtrace when
// BACKTRACE=1 is set) and returns the exit status.
int report(const Failure& failure, const Clock& clock);
int report(const Failure& failure);

}  // namespace casemate::cli::nitro
