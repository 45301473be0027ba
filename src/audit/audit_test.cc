// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "audit/files.h"
#include "audit/trail.h"
#include "base/test_limits.h"
#include "base/test_matchers.h"

namespace casemate::audit {
namespace {

using testing::HasSubstr;

const WallTime kNow{std::chrono::seconds{1'800'000'000}};

class TrailTest : public testing::Test {
 protected:
  TrailTest() {
    char name[] = "/tmp/casemate_audit_test_XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ / "audit.jsonl";
  }
  ~TrailTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Trail> open(const TrailOptions& options = {}) {
    auto trail = Trail::open(path_, kNow, options);
    EXPECT_THAT(trail, IsOk());
    return trail.take();
  }
  static json::Object event(int number, bool read_only = true) {
    return {{"eventName", "Decrypt"}, {"requestID", fmt::format("r{}", number)}, {"readOnly", read_only}};
  }
  void write(int count) {
    const auto trail = open();
    for (int i = 0; i < count; ++i) EXPECT_THAT(trail->append(event(i)), IsOk());
  }
  std::string text() { return os::read_file(path_, 1 << 24).take(); }
  // Without a sync, which a test that replaces the file thousands of times need not wait for.
  void replace(std::string_view with) { std::ofstream(path_, std::ios::trunc) << with; }

  os::Path folder_;
  os::Path path_;
};

TEST_F(TrailTest, VerifiesWhatItWrote) {
  write(3);
  write(2);
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->events, 5U);
  EXPECT_EQ(verified->first_sequence, 1U);
  EXPECT_EQ(verified->last.sequence, 5U);
  EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms(0600));
}

TEST_F(TrailTest, ShowsAnyChangedByte) {
  write(2);
  const std::string whole = text();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0x01, 0x20}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      replace(changed);
      ASSERT_FALSE(verify_files(path_).ok()) << "byte " << i << " flipped by " << flip;
    }
  }
}

TEST_F(TrailTest, ShowsLinesRemovedReorderedAndRepeated) {
  write(4);
  const std::string whole = text();
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t end = whole.find('\n', at) + 1;
    lines.push_back(whole.substr(at, end - at));
    at = end;
  }
  replace(lines[0] + lines[2] + lines[3]);
  EXPECT_THAT(verify_files(path_), IsError(ErrorCode::kUntrusted, HasSubstr("line 2")));
  replace(lines[0] + lines[2] + lines[1] + lines[3]);
  EXPECT_THAT(verify_files(path_), IsError(ErrorCode::kUntrusted));
  replace(lines[0] + lines[1] + lines[1]);
  EXPECT_THAT(verify_files(path_), IsError(ErrorCode::kUntrusted));
  replace(lines[0] + lines[1]);
  EXPECT_THAT(verify_files(path_), IsError(ErrorCode::kUntrusted, HasSubstr("2 events are missing at the end")));
}

TEST_F(TrailTest, RepairsATornTailAndNotesIt) {
  write(3);
  const std::string whole = text();
  for (const std::string& torn : {std::string("{\"cut"), std::string(4096, '\0'), std::string("garbage\n{\"a\":1}\n")}) {
    replace(whole + torn);
    std::filesystem::remove(torn_path(path_));
    {
      const auto trail = open();
      EXPECT_EQ(trail->repair().removed_bytes, torn.size());
    }
    const auto verified = verify_files(path_);
    ASSERT_THAT(verified, IsOk());
    EXPECT_EQ(verified->events, 4U);
    EXPECT_THAT(text(), AllOf(testing::StartsWith(whole), HasSubstr("AuditRepaired"),
                              HasSubstr(fmt::format("\"removedBytes\":{}", torn.size()))));
    EXPECT_EQ(os::read_file(torn_path(path_), 1 << 20).take(), torn + "\n");
  }
}

TEST_F(TrailTest, NotesEventsThatTheFileLost) {
  write(4);
  const std::string whole = text();
  replace(whole.substr(0, whole.rfind("{\"eventName\"") + 20));
  EXPECT_EQ(open()->repair().lost_events, 1U);
  EXPECT_THAT(text(), HasSubstr("\"lostEvents\":1"));
  EXPECT_THAT(verify_files(path_), IsOk());
}

TEST_F(TrailTest, RefusesAFileInWhichNothingIsWhole) {
  replace(std::string(3 * 1024 * 1024, 'x'));
  EXPECT_THAT(Trail::open(path_, kNow), IsError(ErrorCode::kMalformed));
}

TEST_F(TrailTest, PutsFullFilesAsideAndKeepsTheChain) {
  TrailOptions options;
  options.file_bytes = 1000;
  options.files = 3;
  {
    const auto trail = open(options);
    for (int i = 0; i < 12; ++i) ASSERT_THAT(trail->append(event(i, i % 2 == 0)), IsOk());
  }
  EXPECT_EQ(rotated_files(path_).take().size(), 2U);
  auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->events, 12U);
  EXPECT_EQ(verified->files, 3U);
  EXPECT_THAT(find_event_in(path_, {"r0", false}), IsOk());
  {
    const auto trail = open(options);
    for (int i = 12; i < 40; ++i) ASSERT_THAT(trail->append(event(i)), IsOk());
  }
  EXPECT_EQ(rotated_files(path_).take().size(), 3U);
  verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_GT(verified->first_sequence, 1U);
  EXPECT_EQ(verified->last.sequence, 40U);
  EXPECT_THAT(find_event_in(path_, {"r0", false}), IsError(ErrorCode::kNotFound));
  const auto last = find_event_in(path_, {});
  ASSERT_THAT(last, IsOk());
  EXPECT_EQ(*last->string_at("requestID"), "r39");
}

TEST_F(TrailTest, StartsAgainAfterARotationThatWasInterrupted) {
  write(2);
  std::filesystem::rename(path_, rotated_path(path_, 1));
  write(1);
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->events, 3U);
}

TEST_F(TrailTest, TakesWritesOfManyThreads) {
  {
    const auto trail = open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&trail, t] {
        for (int i = 0; i < 25; ++i) EXPECT_THAT(trail->append(event(100 * t + i, i % 5 != 0)), IsOk());
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->events, 100U);
}

TEST_F(TrailTest, WritesHeldEventsAtOnce) {
  const auto trail = open();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(trail->hold(event(i)), IsOk());
  EXPECT_EQ(text(), "");
  EXPECT_THAT(trail->put_held(), IsOk());
  EXPECT_EQ(verify_files(path_)->last.sequence, 3U);
  EXPECT_THAT(trail->put_held(), IsOk());
  // Whoever appends puts the held ones, which come before, into the file.
  EXPECT_THAT(trail->hold(event(3)), IsOk());
  EXPECT_THAT(trail->append(event(4, false)), IsOk());
  EXPECT_EQ(verify_files(path_)->last.sequence, 5U);
  EXPECT_THAT(trail->put_held(), IsOk());
  EXPECT_EQ(verify_files(path_)->last.sequence, 5U);
}

TEST_F(TrailTest, HoldsNoMoreThanItsBound) {
  const auto trail = open();
  for (int i = 0; i < 3000; ++i) EXPECT_THAT(trail->hold(event(i)), IsOk());
  EXPECT_GT(std::filesystem::file_size(path_), 256U * 1024);
  EXPECT_THAT(trail->put_held(), IsOk());
  EXPECT_EQ(verify_files(path_)->last.sequence, 3000U);
}

TEST_F(TrailTest, PutsFullFilesAsideBeforeHeldEvents) {
  const auto trail = open({.file_bytes = 100, .files = 32});
  for (int i = 0; i < 6; ++i) {
    EXPECT_THAT(trail->hold(event(2 * i)), IsOk());
    EXPECT_THAT(trail->hold(event(2 * i + 1)), IsOk());
    EXPECT_THAT(trail->put_held(), IsOk());
  }
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->files, 6U);
  EXPECT_EQ(verified->last.sequence, 12U);
}

TEST_F(TrailTest, SaysThatHeldEventsAreLostAndGoesOn) {
  const auto trail = open();
  EXPECT_THAT(trail->append(event(0)), IsOk());
  for (int i = 1; i < 4; ++i) EXPECT_THAT(trail->hold(event(i)), IsOk());
  {
    const FileSizeLimit limit(text().size() + 300);
    EXPECT_FALSE(trail->put_held().ok());
  }
  EXPECT_EQ(verify_files(path_)->last.sequence, 1U);
  EXPECT_THAT(trail->put_held(), IsOk());

  EXPECT_THAT(trail->hold(event(4)), IsOk());
  {
    const FileSizeLimit limit(text().size());
    EXPECT_FALSE(trail->append(event(5)).ok());
  }
  // What is held now can be written, but what another thread failed to write was held too.
  EXPECT_THAT(trail->hold(event(6)), IsOk());
  EXPECT_FALSE(trail->put_held().ok());
  EXPECT_THAT(trail->put_held(), IsOk());
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->last.sequence, 2U);
  EXPECT_THAT(text(), HasSubstr("r6"));
}

TEST_F(TrailTest, LosesNoAnsweredEventWhenKilled) {
  int answers[2];
  ASSERT_EQ(::pipe(answers), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto trail = Trail::open(path_, kNow);
    for (int i = 0;; ++i) {
      const char byte = trail.ok() && (*trail)->append(event(i)).ok() ? '1' : '0';
      if (::write(answers[1], &byte, 1) != 1) ::_exit(1);
    }
  }
  ::close(answers[1]);
  std::uint64_t answered = 0;
  for (char byte = 0; answered < 200 && ::read(answers[0], &byte, 1) == 1 && byte == '1';) ++answered;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(answers[0]);
  ASSERT_EQ(answered, 200U);
  { const auto trail = open(); }
  const auto verified = verify_files(path_);
  ASSERT_THAT(verified, IsOk());
  EXPECT_GE(verified->events, answered);
}

TEST_F(TrailTest, FindsEventsAcrossPieces) {
  {
    const auto trail = open();
    for (int i = 0; i < 5; ++i) {
      json::Object big = event(i);
      big.set("note", std::string(700'000, 'n'));
      ASSERT_THAT(trail->append(big), IsOk());
    }
  }
  for (int i = 0; i < 5; ++i) EXPECT_THAT(find_event_in(path_, {fmt::format("r{}", i), false}), IsOk()) << i;
  EXPECT_THAT(find_event_in(path_, {"", true}), IsError(ErrorCode::kNotFound, HasSubstr("no denied request")));
}

TEST_F(TrailTest, FindsTheLastUseOfAKey) {
  {
    const auto trail = open();
    for (int i = 0; i < 4; ++i) {
      json::Object used = event(i);
      used.set("userIdentity", json::Object{{"accessKeyId", i < 3 ? "AKIAONE" : "AKIATWO"}});
      used.set("requestParameters", json::Object{{"accessKeyId", "AKIAONE"}});
      ASSERT_THAT(trail->append(used), IsOk());
    }
  }
  const auto found = find_event_in(path_, {{}, false, "AKIAONE"});
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(*found->string_at("requestID"), "r2");
  EXPECT_THAT(find_event_in(path_, {{}, false, "AKIATHREE"}), IsError(ErrorCode::kNotFound, HasSubstr("AKIATHREE")));
}

TEST_F(TrailTest, RefusesAnEventThatNoLineHolds) {
  const auto trail = open();
  json::Object big = event(1);
  big.set("note", std::string(kLongestLine, 'n'));
  EXPECT_THAT(trail->append(big), IsError(ErrorCode::kLimit));
  EXPECT_THAT(trail->append(event(2)), IsOk());
}

TEST(Seal, RefusesWhatIsNoSeal) {
  Link link;
  const std::string line = seal_line(R"({"a":1})", link);
  EXPECT_THAT(check_line(line), IsOk());
  EXPECT_EQ(link.sequence, 1U);
  for (std::size_t length = 0; length < line.size(); ++length) EXPECT_FALSE(check_line(line.substr(0, length)).ok());
  EXPECT_THAT(parse_head(head_text(link)), IsOk());
  EXPECT_THAT(parse_head("x"), IsError(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace casemate::audit
