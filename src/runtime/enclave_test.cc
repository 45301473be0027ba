// SPDX-License-Identifier: Apache-2.0
#include "runtime/enclave.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "runtime/console_ring.h"
#include "runtime/launch.h"

namespace casemate::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CountingRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0xd1;
};

Result<RunRequest> request_of(std::string_view text) {
  const json::Value value = TRY(json::parse(text));
  return parse_run_request(value);
}

TEST(RunRequest, ReadsNitroClisConfigurationFile) {
  const auto request = request_of(
      R"({"enclave_name":"app","cpu_count":2,"memory_mib":2148,"eif_path":"a.eif","enclave_cid":20,"debug_mode":true})");
  ASSERT_THAT(request, IsOk());
  EXPECT_EQ(request->enclave_name, "app");
  EXPECT_EQ(request->enclave_cid, 20U);
  EXPECT_TRUE(request->debug_mode);
  EXPECT_FALSE(request->attach_console);
}

TEST(RunRequest, RoundTrips) {
  const auto first = request_of(R"({"cpu_ids":[1,3],"memory_mib":64,"eif_path":"a.eif","attach_console":true})");
  ASSERT_THAT(first, IsOk());
  const auto second = parse_run_request(to_json(*first));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(to_json(*first), to_json(*second));
  EXPECT_TRUE(second->debug_mode) << "attach_console implies it";
}

TEST(RunRequest, NamesWhatIsWrong) {
  EXPECT_THAT(request_of(R"({"cpu_count":2,"memory_mib":64,"eif_path":"a","debug_mod":true})"),
              IsError(ErrorCode::kMalformed, HasSubstr("debug_mod: unknown member")));
  EXPECT_THAT(request_of(R"({"cpu_count":2,"cpu_ids":[1],"memory_mib":64,"eif_path":"a"})"), IsError(ErrorCode::kConflict));
  EXPECT_THAT(request_of(R"({"cpu_count":2,"memory_mib":"64","eif_path":"a"})"),
              IsError(ErrorCode::kMalformed, HasSubstr("memory_mib: string")));
  EXPECT_THAT(request_of(R"({"memory_mib":64,"eif_path":"a"})"), IsError(ErrorCode::kMalformed, HasSubstr("cpu_count")));
  EXPECT_THAT(request_of(R"({"cpu_count":-1,"memory_mib":64,"eif_path":"a"})"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(request_of(R"([])"), IsError(ErrorCode::kMalformed));
}

EnclaveInfo sample() {
  EnclaveInfo info{.name = "app", .id = "i-1-enc19a65df9f4c82b", .pid = 42, .cid = 16, .cpu_ids = {1, 3}, .memory_mib = 2148,
                   .state = State::kRunning, .debug_mode = true, .faults = {}, .published = {}, .measurements = {{"PCR0", "00"}}, .metadata = {}};
  return info;
}

TEST(EnclaveInfo, PrintsNitroClisMembersInItsOrder) {
  EXPECT_EQ(json::encode(run_json(sample())),
            R"({"EnclaveName":"app","EnclaveID":"i-1-enc19a65df9f4c82b","ProcessID":42,"EnclaveCID":16,"NumberOfCPUs":2,)"
            R"("CPUIDs":[1,3],"MemoryMiB":2148})");
  EXPECT_EQ(json::encode(describe_json(sample())),
            R"({"EnclaveName":"app","EnclaveID":"i-1-enc19a65df9f4c82b","ProcessID":42,"EnclaveCID":16,"NumberOfCPUs":2,)"
            R"("CPUIDs":[1,3],"MemoryMiB":2148,"State":"RUNNING","Flags":"DEBUG_MODE","Measurements":{"PCR0":"00"}})");
}

TEST(EnclaveInfo, DescriptionRoundTrips) {
  EnclaveInfo info = sample();
  info.state = State::kTerminating;
  info.debug_mode = false;
  info.metadata.set("ImageName", "img");
  const auto read = parse_description(describe_json(info));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(describe_json(*read), describe_json(info));
  EXPECT_THAT(parse_description(json::Object{{"EnclaveID", "x"}}), IsError(ErrorCode::kMalformed));
}

TEST(SlotId, IsTimeThenRandomBits) {
  CountingRng rng;
  const SlotId slot = SlotId::make(WallTime(std::chrono::milliseconds(0x019a65df9f4cLL)), rng);
  EXPECT_EQ(enclave_id("i-085fa5ca0e3bda2cb", slot), "i-085fa5ca0e3bda2cb-enc19a65df9f4cd1d2") << "no leading zero";
  EXPECT_EQ(module_id("i-085fa5ca0e3bda2cb", slot), "i-085fa5ca0e3bda2cb-enc019a65df9f4cd1d2") << "sixteen digits";
}

TEST(DefaultName, IsTheFileNameWithoutExtension) {
  EXPECT_EQ(default_name("./data-processing.eif"), "data-processing");
  EXPECT_EQ(default_name("/a/b.c/image"), "image");
  EXPECT_EQ(default_name("a.b.eif"), "a.b");
}

// Values of the AWS Nitro Enclaves User Guide.
TEST(NsmIdentity, MeasuresRoleAndInstanceAsTheHypervisorDoes) {
  eif::Measurements measured;
  measured.pcr0.fill(1);
  measured.pcr8 = crypto::Sha384{};
  measured.pcr8->fill(8);
  const os::Platform platform{.account = "123456789012", .region = "us-east-1",
                              .role_arn = "arn:aws:iam::123456789012:role/Webserver", .instance_id = "i-1234567890abcdef0"};
  const NsmIdentity production = nsm_identity(measured, platform, SlotId{1}, {});
  EXPECT_EQ(encode_hex(production.pcrs[3]),
            "78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6");
  EXPECT_EQ(encode_hex(production.pcrs[4]),
            "08f996b5d43e047a9eb51e7f548bfee7e164fd7dc8f65541f2ac09d6545ac812719327281c401a67a10fcba87ae79ce0");
  EXPECT_EQ(production.pcrs[0], measured.pcr0);
  EXPECT_EQ(production.pcrs[8], *measured.pcr8);
  EXPECT_TRUE(all_zero(production.pcrs[5]));

  RunRequest debug_request;
  debug_request.debug_mode = true;
  const NsmIdentity debug = nsm_identity(measured, platform, SlotId{1}, debug_request);
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(all_zero(debug.pcrs.at(index)));
  EXPECT_EQ(debug.pcrs[3], production.pcrs[3]);
  EXPECT_EQ(debug.pcrs[4], production.pcrs[4]);
}

TEST(PickCpus, GivesPairsOfSiblingsAndNeverTheFirst) {
  EXPECT_THAT(pick_cpus(2, 2, {}), ElementsAre(1, 3)) << "a machine too small is taken to be large enough";
  EXPECT_THAT(pick_cpus(2, 4, {}), ElementsAre(1, 3));
  EXPECT_THAT(pick_cpus(2, 8, {}), ElementsAre(1, 5));
  EXPECT_THAT(pick_cpus(4, 8, {}), ElementsAre(1, 5, 2, 6));
  EXPECT_THAT(pick_cpus(1, 8, {}), ElementsAre(1));
}

TEST(PickCpus, LeavesOutWhatIsUsed) {
  EXPECT_THAT(pick_cpus(2, 8, {1, 5}), ElementsAre(2, 6));
  for (const std::uint32_t cpu : pick_cpus(4, 2, {1, 3})) EXPECT_TRUE(cpu != 0 && cpu != 1 && cpu != 3);
  EXPECT_EQ(pick_cpus(64, 2, {1, 3}).size(), 64U);
}

TEST(ConsoleRing, KeepsTheLastBytes) {
  ConsoleRing ring(8);
  EXPECT_TRUE(ring.read(0).empty());
  ring.write(as_bytes("abcdef"));
  EXPECT_EQ(as_text(ring.read(0)), "abcdef");
  ring.write(as_bytes("ghij"));
  EXPECT_EQ(ring.begin(), 2U);
  EXPECT_EQ(ring.end(), 10U);
  std::string all;
  for (std::uint64_t at = ring.begin(); at < ring.end();) {
    const ByteView part = ring.read(at);
    all += as_text(part);
    at += part.size();
  }
  EXPECT_EQ(all, "cdefghij");
}

TEST(ConsoleRing, SurvivesAWriteLargerThanItself) {
  ConsoleRing ring(4);
  ring.write(as_bytes("ab"));
  ring.write(as_bytes("0123456789"));
  std::string all;
  for (std::uint64_t at = 0; at < ring.end();) {
    at = std::max(at, ring.begin());
    const ByteView part = ring.read(at);
    all += as_text(part);
    at += part.size();
  }
  EXPECT_EQ(all, "6789");
  EXPECT_EQ(ring.end(), 12U);
}

}  // namespace
}  // namespace casemate::runtime
