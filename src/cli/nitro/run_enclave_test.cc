// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/run_enclave.h"

#include "base/test_matchers.h"
#include "cli/nitro/describe_enclaves.h"

namespace casemate::cli::nitro {
namespace {

using ::testing::HasSubstr;

RunEnclaveOptions walkthrough() {
  RunEnclaveOptions options;
  options.debug_mode = true;
  options.cpu_count = "2";
  options.memory = "2148";
  options.eif_path = "./data-processing.eif";
  return options;
}

Failure failure_of(const RunEnclaveOptions& options) {
  auto request = run_request(options);
  EXPECT_TRUE(std::holds_alternative<Failure>(request));
  return std::get<Failure>(std::move(request));
}

TEST(RunEnclave, ReadsTheWalkthroughsFlags) {
  const auto request = run_request(walkthrough());
  const auto* run = std::get_if<runtime::RunRequest>(&request);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->cpu_count, 2U);
  EXPECT_EQ(run->memory_mib, 2148U);
  EXPECT_TRUE(run->debug_mode);
  EXPECT_EQ(run->enclave_cid, std::nullopt);
}

TEST(RunEnclave, AttachedConsoleImpliesDebugMode) {
  RunEnclaveOptions options = walkthrough();
  options.debug_mode = false;
  options.attach_console = true;
  EXPECT_TRUE(std::get<runtime::RunRequest>(run_request(options)).debug_mode);
}

TEST(RunEnclave, ReadsMemoryWithUnits) {
  EXPECT_THAT(parse_memory("512"), IsOkAnd(512U));
  EXPECT_THAT(parse_memory("512M"), IsOkAnd(512U));
  EXPECT_THAT(parse_memory("2G"), IsOkAnd(2048U));
  EXPECT_THAT(parse_memory("1T"), IsOkAnd(1048576U));
  for (const std::string_view wrong : {"", "M", "2K", "-1", "1.5G", "2 G", "99999999999999999999", "18446744073709551615T"})
    EXPECT_THAT(parse_memory(wrong), IsError(ErrorCode::kMalformed)) << wrong;
}

TEST(RunEnclave, WrongNumbersAreE03AndNameTheFlag) {
  RunEnclaveOptions options = walkthrough();
  options.cpu_count = "1z";
  EXPECT_EQ(failure_of(options).code, ECode::kInvalidArgument);
  EXPECT_THAT(failure_of(options).error.message(), HasSubstr("cpu-count: `1z`"));
  options.cpu_count = "0";
  EXPECT_EQ(failure_of(options).code, ECode::kInvalidArgument);
  options = walkthrough();
  options.memory = "lots";
  EXPECT_THAT(failure_of(options).error.message(), HasSubstr("memory"));
}

TEST(RunEnclave, ReservedCidsAreRefusedAndZeroMeansAny) {
  RunEnclaveOptions options = walkthrough();
  for (const char* cid : {"1", "2", "3", "4294967295", "4294967296", "-1", "x"}) {
    options.enclave_cid = cid;
    EXPECT_EQ(failure_of(options).code, ECode::kInvalidArgument) << cid;
  }
  options.enclave_cid = "0";
  EXPECT_EQ(std::get<runtime::RunRequest>(run_request(options)).enclave_cid, std::nullopt);
  options.enclave_cid = "4";
  EXPECT_EQ(std::get<runtime::RunRequest>(run_request(options)).enclave_cid, 4U);
}

TEST(RunEnclave, ReadsAConfigurationFile) {
  const auto good = config_request(R"({"cpu_ids":[2,3],"memory_mib":1024,"eif_path":"a.eif"})");
  ASSERT_TRUE(std::holds_alternative<runtime::RunRequest>(good));
  const auto code = [](std::string_view text) { return std::get<Failure>(config_request(text)).code; };
  EXPECT_EQ(code("{"), ECode::kSerde);
  EXPECT_EQ(code(R"({"cpu_ids":[2],"cpu_count":2,"memory_mib":1024,"eif_path":"a"})"), ECode::kConflictingArgument);
  EXPECT_EQ(code(R"({"cpu_count":2,"memory_mib":1024,"eif_path":"a","enclave_cid":3})"), ECode::kInvalidArgument);
}

TEST(RunEnclave, NumbersEachFailingStep) {
  using runtime::StartStep;
  EXPECT_EQ(start_code(StartStep::kMemory, over_limit("x")), ECode::kInsufficientMemoryRequested);
  EXPECT_EQ(start_code(StartStep::kOpenImage, not_found("x")), ECode::kFileOperation);
  EXPECT_EQ(start_code(StartStep::kReadImage, malformed("x")), ECode::kEifParsing);
  EXPECT_EQ(start_code(StartStep::kSignature, untrusted("x")), ECode::kEifSignatureCheck);
  EXPECT_EQ(start_code(StartStep::kBoot, internal("x")), ECode::kBoot);
  EXPECT_EQ(start_code(StartStep::kBoot, over_limit("x")), ECode::kInsufficientMemoryAvailable);
  EXPECT_EQ(start_code(StartStep::kReserve, conflict("x")), ECode::kIoctlStart);
}

TEST(DescribeEnclaves, PrintsAnEmptyListWithoutEnclaves) { EXPECT_EQ(descriptions({}), "[]"); }

TEST(DescribeEnclaves, IndentsByTwoSpaces) {
  runtime::EnclaveInfo info{.name = "a", .id = "i-1-enc1", .pid = 7, .cid = 16, .cpu_ids = {1, 3}, .memory_mib = 64,
                            .state = runtime::State::kRunning, .debug_mode = false, .faults = {}, .published = {}, .measurements = {{"PCR0", "ff"}}, .metadata = {}};
  EXPECT_EQ(descriptions({info}), R"([
  {
    "EnclaveName": "a",
    "EnclaveID": "i-1-enc1",
    "ProcessID": 7,
    "EnclaveCID": 16,
    "NumberOfCPUs": 2,
    "CPUIDs": [
      1,
      3
    ],
    "MemoryMiB": 64,
    "State": "RUNNING",
    "Flags": "NONE",
    "Measurements": {
      "PCR0": "ff"
    }
  }
])");
}

}  // namespace
}  // namespace casemate::cli::nitro
