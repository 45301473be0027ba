// SPDX-License-Identifier: Apache-2.0
#include "runtime/allocator.h"

#include "base/test_matchers.h"
#include "runtime/enclave.h"

namespace casemate::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Allocator, ReadsAwsFile) {
  const auto counted = parse_allocator("---\n# Enclave configuration file.\n\nmemory_mib: 512\ncpu_count: 2  # threads\n");
  ASSERT_THAT(counted, IsOk());
  EXPECT_EQ(counted->memory_mib, 512U);
  EXPECT_THAT(counted->pool(8), ElementsAre(1, 5));
  const auto listed = parse_allocator("memory_mib: 4096\ncpu_pool: 2,3,6-9\n");
  ASSERT_THAT(listed, IsOk());
  EXPECT_THAT(listed->pool(64), ElementsAre(2, 3, 6, 7, 8, 9));
}

TEST(Allocator, RefusesWhatItDoesNotUnderstand) {
  for (const std::string_view text :
       {"", "memory_mib: 512", "cpu_count: 2", "memory_mib: x\ncpu_count: 2", "memory_mib: 512\ncpu_count: 2\nhuge: 1",
        "memory_mib: 512\nmemory_mib: 512\ncpu_count: 2", "memory_mib: 512\ncpu_pool: 3-1", "memory_mib: 512\ncpu_pool: 1,,2",
        "memory_mib: 512\ncpu_pool: 0-99999999", "memory_mib 512\ncpu_count: 2"})
    EXPECT_THAT(parse_allocator(text), IsError(ErrorCode::kMalformed)) << text;
  EXPECT_THAT(parse_allocator("memory_mib: 1\ncpu_count: 2\ncpu_pool: 2"), IsError(ErrorCode::kConflict));
  EXPECT_THAT(parse_allocator("memory_mib: 512\n\ncpu_pool: x"), IsError(ErrorCode::kMalformed, HasSubstr("line 3: cpu_pool")));
}

TEST(RunRequest, ReadsPublishedPortsAndRestartPolicies) {
  EXPECT_THAT(parse_published("8080:5000"), IsOkAnd(PublishedPort{8080, 5000}));
  EXPECT_THAT(parse_published("0:4294967294"), IsOkAnd(PublishedPort{0, 4294967294}));
  for (const std::string_view text : {"", ":", "1", "1:", ":1", "65536:1", "1:4294967295", "-1:1", "1:1:1", "a:1"})
    EXPECT_THAT(parse_published(text), IsError(ErrorCode::kMalformed)) << text;
  std::uint32_t limit = 7;
  EXPECT_THAT(parse_restart("no", limit), IsOkAnd(Restart::kNo));
  EXPECT_EQ(limit, 0U);
  EXPECT_THAT(parse_restart("on-failure:3", limit), IsOkAnd(Restart::kOnFailure));
  EXPECT_EQ(limit, 3U);
  EXPECT_THAT(parse_restart("always", limit), IsOkAnd(Restart::kAlways));
  for (const std::string_view text : {"", "yes", "no:1", "always:", "always:0", "always:x", "on-failure:-1"})
    EXPECT_THAT(parse_restart(text, limit), IsError(ErrorCode::kMalformed)) << text;
}

TEST(RunRequest, BootsWithinNitrosTime) {
  using std::chrono::seconds;
  EXPECT_EQ(boot_timeout(1, 64), seconds(180));
  EXPECT_EQ(boot_timeout(std::uint64_t{6} << 30, 100 << 10), seconds(180));
  EXPECT_EQ(boot_timeout((std::uint64_t{6} << 30) + 1, (100 << 10) + 1), seconds(360));
}

}  // namespace
}  // namespace casemate::runtime
