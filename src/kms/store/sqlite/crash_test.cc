// SPDX-License-Identifier: Apache-2.0
// Kills a process in the middle of mixed writes by several threads, again and again on one database.
// CASEMATE_CRASH_ROUNDS and CASEMATE_CRASH_WRITES set how often and of how many writes; the defaults are for every run
// of the tests.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/test_matchers.h"
#include "crypto/rng.h"
#include "kms/keyring.h"
#include "kms/store/sqlite/sqlite_store.h"

namespace casemate::kms {
namespace {

using store::sqlite::open_sqlite_store;

const Realm kRealm{"111122223333", "us-east-1"};
constexpr unsigned kThreads = 4;

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = ::getenv(name);
  return text == nullptr ? otherwise : static_cast<unsigned>(std::atoi(text));
}

// Acknowledgement is what the child says of a write that its keyring said was done. One fits a pipe's atomic write.
struct Acknowledgement {
  std::uint32_t write = 0;
  char key[36] = {};
};

std::string name_of(unsigned round, std::uint32_t write) {
  return fmt::format("{}-{}", round, write);
}

KeyDraft draft(const std::string& name) {
  KeyDraft out;
  out.policy = iam::default_key_policy(kRealm.account);
  out.description = name;
  out.tags = {{"name", name}};
  return out;
}

struct Opened {
  crypto::SystemRng rng;
  FixedClock clock{WallTime{std::chrono::hours{500'000}}};
  RootKey root = RootKey::from(Secret::copy_of(Bytes(32, 9))).take();
  std::unique_ptr<Store> store;
  std::unique_ptr<Keyring> keyring;

  explicit Opened(const os::Path& path) {
    auto opened = open_sqlite_store(path, root.check_value());
    EXPECT_THAT(opened, IsOk());
    if (!opened.ok()) return;
    store = opened.take();
    keyring = std::make_unique<Keyring>(*store, root, clock, rng);
  }
  KeyRecordPtr find(const std::string& id) {
    auto located = keyring->locate({KeyReference::Kind::kKey, kRealm, id});
    return located.ok() ? located->record : nullptr;
  }
};

// write does the write of that number; its kind follows from the number.
bool write(Keyring& keyring, const KeyRecord& base, unsigned round, std::uint32_t number, Acknowledgement& ack) {
  const std::string name = name_of(round, number);
  std::copy_n(base.key.id.begin(), sizeof ack.key, ack.key);
  switch (number / kThreads % 4) {
    case 0: {
      const auto made = keyring.create_key(kRealm, draft(name));
      if (!made.ok()) return false;
      std::copy_n(made.value()->key.id.begin(), sizeof ack.key, ack.key);
      return true;
    }
    case 1:
      return keyring.set_tags(base, {{name, "v"}}, 100'000).ok();
    case 2:
      return keyring.create_alias(kRealm, "alias/" + name, base).ok();
    default:
      return keyring.create_grant(base, {name, "arn:aws:iam::111122223333:role/r", "", {"Encrypt"}, {}}).ok();
  }
}

[[noreturn]] void run_child(const os::Path& path, unsigned round, unsigned writes, int channel) {
  Opened opened(path);
  if (opened.keyring == nullptr) ::_exit(2);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto base = opened.keyring->create_key(kRealm, draft("base"));
      if (!base.ok()) ::_exit(3);
      for (std::uint32_t i = t; i < writes; i += kThreads) {
        Acknowledgement ack;
        ack.write = i;
        if (!write(*opened.keyring, **base, round, i, ack)) ::_exit(4);
        if (::write(channel, &ack, sizeof ack) != sizeof ack) ::_exit(5);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ::_exit(0);
}

std::vector<Acknowledgement> read_until_killed(int channel, pid_t child, std::size_t kill_after) {
  std::vector<Acknowledgement> acks;
  Acknowledgement ack;
  while (::read(channel, &ack, sizeof ack) == sizeof ack) {
    acks.push_back(ack);
    if (acks.size() == kill_after) ::kill(child, SIGKILL);
  }
  return acks;
}

void check_acknowledged(Opened& opened, unsigned round, const Acknowledgement& ack) {
  const std::string name = name_of(round, ack.write);
  const KeyRecordPtr record = opened.find(std::string(ack.key, sizeof ack.key));
  ASSERT_NE(record, nullptr) << name;
  switch (ack.write / kThreads % 4) {
    case 0:
      EXPECT_EQ(record->key.description, name);
      return;
    case 1:
      EXPECT_THAT(record->tags, testing::Contains(testing::Pair(name, "v")));
      return;
    case 2:
      EXPECT_THAT(record->aliases, testing::Contains("alias/" + name));
      return;
    default:
      EXPECT_THAT(record->grants, testing::Contains(testing::Field(&Grant::name, name)));
      return;
  }
}

// A key that is there has its material, which opens, and its tag: never half of what was written at once.
void check_whole(Opened& opened) {
  std::string after;
  while (true) {
    const auto ids = opened.store->reader()->list_keys(kRealm, after, 500).take();
    for (const std::string& id : ids) {
      const KeyRecordPtr record = opened.find(id);
      ASSERT_NE(record, nullptr) << id;
      EXPECT_NE(record->current_material(), nullptr) << id;
      EXPECT_THAT(record->tags, testing::Contains(testing::Pair("name", record->key.description))) << id;
    }
    if (ids.empty()) return;
    after = ids.back();
  }
}

TEST(Crash, KeepsEveryAcknowledgedWriteAndNoHalfOfAnother) {
  const unsigned rounds = from_environment("CASEMATE_CRASH_ROUNDS", 4);
  const unsigned writes = from_environment("CASEMATE_CRASH_WRITES", 400);
  char folder[] = "/tmp/crash_test_XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const os::Path path = os::Path(folder) / "kms.db";
  std::mt19937 random(1);
  std::size_t total = 0;
  for (unsigned round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    int channel[2];
    ASSERT_EQ(::pipe(channel), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(channel[0]);
      run_child(path, round, writes, channel[1]);
    }
    ::close(channel[1]);
    const auto acks = read_until_killed(channel[0], child, 1 + random() % (writes - 1));
    ::close(channel[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "child: " << WEXITSTATUS(status);
    total += acks.size();
    Opened opened(path);
    ASSERT_NE(opened.keyring, nullptr);
    for (const Acknowledgement& ack : acks) check_acknowledged(opened, round, ack);
    // Looking at all keys of all rounds would grow with their square.
    if (round % 10 != 9 && round + 1 != rounds) continue;
    check_whole(opened);
    std::printf("%u kills, %zu acknowledged writes\n", round + 1, total);
    std::fflush(stdout);
  }
  RecordProperty("acknowledged", static_cast<int>(total));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace casemate::kms
