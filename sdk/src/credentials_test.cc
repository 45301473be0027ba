// SPDX-License-Identifier: Apache-2.0
#include "casemate/credentials.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "base/test_matchers.h"

namespace casemate {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

Credentials named(std::string id, std::optional<std::chrono::sys_seconds> expires = {}) {
  return {std::move(id), Secret::copy_of(Bytes{1}), "t", expires};
}

TEST(ParseCredentials, TakesWhatMetadataAndTheCliWrite) {
  const auto imds = parse_credentials(R"({"Code":"Success","LastUpdated":"x","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2026-01-01T00:00:00Z"})");
  ASSERT_THAT(imds, IsOk());
  EXPECT_EQ(imds->session_token, "T");
  EXPECT_EQ(imds->expires, std::chrono::sys_days(std::chrono::January / 1 / 2026));
  const auto cli = parse_credentials(R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"})");
  ASSERT_THAT(cli, IsOk());
  EXPECT_EQ(cli->session_token, "T");
  EXPECT_FALSE(cli->expires);
}

TEST(ParseCredentials, NamesWhatIsWrong) {
  EXPECT_THAT(parse_credentials("{}"), IsError(ErrorCode::kMalformed, HasSubstr("AccessKeyId")));
  EXPECT_THAT(parse_credentials("[]"), IsError(ErrorCode::kMalformed));
  EXPECT_THAT(parse_credentials(R"({"AccessKeyId":"A\r\nX: y","SecretAccessKey":"S"})"), IsError(ErrorCode::kMalformed, HasSubstr("AccessKeyId")));
  EXPECT_THAT(parse_credentials(R"({"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"soon"})"), IsError(ErrorCode::kMalformed, HasSubstr("Expiration")));
  EXPECT_THAT(parse_credentials(R"({"error":"no role"})"), IsError(ErrorCode::kUnavailable, HasSubstr("no role")));
  EXPECT_THAT(parse_credentials(std::string(70'000, ' ') + "{}"), IsError(ErrorCode::kLimit));
}

TEST(RenewedCredentials, AreFetchedAgainBeforeTheyEndAndOutliveAFailure) {
  std::chrono::sys_seconds now{1'000'000s};
  int fetched = 0;
  bool fails = false;
  RenewalOptions options;
  options.now = [&] { return now; };
  const auto provider = renewed_credentials(
      [&](std::chrono::milliseconds) -> Result<Credentials> {
        if (fails) return Error(ErrorCode::kUnavailable, "down");
        return named(std::to_string(++fetched), now + 1h);
      },
      options);
  EXPECT_EQ((*provider->get(1s))->access_key_id, "1");
  now += 54min;
  EXPECT_EQ((*provider->get(1s))->access_key_id, "1");
  now += 1min;
  fails = true;
  EXPECT_EQ((*provider->get(1s))->access_key_id, "1");
  fails = false;
  EXPECT_EQ((*provider->get(1s))->access_key_id, "2");
  now += 2h;
  fails = true;
  EXPECT_THAT(provider->get(1s), IsError(ErrorCode::kUnavailable, HasSubstr("down")));
}

TEST(RenewedCredentials, AreFetchedByOneThreadWhileOthersWaitOrGoOn) {
  std::chrono::sys_seconds now{1'000'000s};
  std::atomic<int> fetching = 0;
  std::atomic<bool> go = false;
  RenewalOptions options;
  options.now = [&] { return now; };
  const auto provider = renewed_credentials(
      [&](std::chrono::milliseconds) -> Result<Credentials> {
        ++fetching;
        while (!go) std::this_thread::yield();
        return named("x", now + 1h);
      },
      options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_THAT(provider->get(20s), IsOk()); });
  while (fetching == 0) std::this_thread::yield();
  go = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fetching, 1);
  now += 56min;
  go = false;
  std::thread renewing([&] { EXPECT_THAT(provider->get(20s), IsOk()); });
  while (fetching == 1) std::this_thread::yield();
  EXPECT_THAT(provider->get(0s), IsOk());
  go = true;
  renewing.join();
  EXPECT_EQ(fetching, 2);
}

}  // namespace
}  // namespace casemate
