// SPDX-License-Identifier: Apache-2.0
#include "kms/store/sqlite/sqlite_store.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/encoding.h"
#include "crypto/rng.h"
#include "kms/identifier.h"
#include "kms/store/sqlite/schema.h"
#include "kms/store/sqlite/statement.h"
#include "kms/store_suite.h"

namespace casemate::kms {
namespace {

using store::sqlite::open_sqlite_store;

const Bytes kCheck(32, 7);

// TemporaryFolder lives for one test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "/tmp/sqlite_store_test_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  os::Path operator/(const char* name) const { return path_ / name; }

 private:
  os::Path path_;
};

std::unique_ptr<Store> make_store() {
  // Open descriptors outlive the folder's name.
  const TemporaryFolder folder;
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  EXPECT_THAT(store, IsOk());
  return store.take();
}

std::unique_ptr<Store> make_memory_store() {
  return store::sqlite::create_memory_store().take();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreSuite,
                         testing::Values(StoreMaker{"file", make_store}, StoreMaker{"memory", make_memory_store}),
                         [](const auto& instance) { return instance.param.name; });

Key test_key(std::string id) {
  Key key;
  key.realm = {"111122223333", "us-east-1"};
  key.id = std::move(id);
  return key;
}

Result<void> insert(Store& store, const std::string& id) {
  return store.write([&](StoreWriter& writer) { return writer.insert_key(test_key(id)); });
}

std::string content(const os::Path& path) {
  return os::read_file(path, 1 << 24).take();
}

TEST(SqliteStore, KeepsRowsAcrossReopeningInAFileForTheOwnerOnly) {
  const TemporaryFolder folder;
  {
    auto store = open_sqlite_store(folder / "kms.db", kCheck);
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT(insert(**store, "a"), IsOk());
    for (const char* name : {"kms.db", "kms.db-wal"}) {
      struct stat status {};
      ASSERT_EQ(::stat((folder / name).c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
    }
  }
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->reader()->find_key({test_key("a").realm, "a"}), IsOkAnd(testing::Optional(test_key("a"))));
}

TEST(SqliteStore, KeepsEveryAcknowledgedWriteWhenKilled) {
  const TemporaryFolder folder;
  int channel[2];
  ASSERT_EQ(::pipe(channel), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open_sqlite_store(folder / "kms.db", kCheck);
    for (unsigned char i = 0; store.ok() && insert(**store, std::to_string(i)).ok(); ++i) {
      if (::write(channel[1], &i, 1) != 1) break;
    }
    ::_exit(1);
  }
  unsigned char last = 0;
  while (last < 20) ASSERT_EQ(::read(channel[0], &last, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(channel[0]);
  ::close(channel[1]);
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  ASSERT_THAT(store, IsOk());
  for (unsigned i = 0; i <= last; ++i) {
    EXPECT_THAT((*store)->reader()->find_key({test_key("").realm, std::to_string(i)}),
                IsOkAnd(testing::Ne(std::nullopt)))
        << i;
  }
}

TEST(SqliteStore, RefusesAnotherRootKeyAndChangesNothing) {
  const TemporaryFolder folder;
  ASSERT_THAT(insert(*open_sqlite_store(folder / "kms.db", kCheck).take(), "a"), IsOk());
  const std::string before = content(folder / "kms.db");
  EXPECT_THAT(open_sqlite_store(folder / "kms.db", Bytes(32, 8)),
              IsError(ErrorCode::kUntrusted, testing::HasSubstr("kms.db: made with another root key")));
  EXPECT_EQ(content(folder / "kms.db"), before);
  EXPECT_THAT(open_sqlite_store(folder / "kms.db", kCheck), IsOk());
}

TEST(SqliteStore, RefusesAnotherRootKeyWithoutTouchingTheLogOfAKilledProcess) {
  const TemporaryFolder folder;
  {
    auto store = open_sqlite_store(folder / "kms.db", kCheck);
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT(insert(**store, "a"), IsOk());
    std::filesystem::copy(folder / "kms.db", folder / "killed.db");
    std::filesystem::copy(folder / "kms.db-wal", folder / "killed.db-wal");
  }
  const std::string database = content(folder / "killed.db");
  const std::string log = content(folder / "killed.db-wal");
  ASSERT_FALSE(log.empty());
  EXPECT_THAT(open_sqlite_store(folder / "killed.db", Bytes(32, 8)), IsError(ErrorCode::kUntrusted));
  EXPECT_EQ(content(folder / "killed.db"), database);
  EXPECT_EQ(content(folder / "killed.db-wal"), log);
  auto store = open_sqlite_store(folder / "killed.db", kCheck);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->reader()->find_key({test_key("a").realm, "a"}), IsOkAnd(testing::Ne(std::nullopt)));
}

TEST(SqliteStore, RefusesWhatIsDamagedOrNoneOfOurs) {
  const TemporaryFolder folder;
  ASSERT_THAT(insert(*open_sqlite_store(folder / "kms.db", kCheck).take(), "a"), IsOk());
  std::string damaged = content(folder / "kms.db");
  std::fill(damaged.begin() + 8192, damaged.begin() + 8192 + 4096, '\x5a');
  ASSERT_THAT(os::write_file(folder / "damaged.db", as_bytes(damaged), 0600), IsOk());
  EXPECT_THAT(open_sqlite_store(folder / "damaged.db", kCheck), IsError(ErrorCode::kMalformed));
  EXPECT_EQ(content(folder / "damaged.db"), damaged);

  ASSERT_THAT(os::write_file(folder / "text.db", as_bytes(std::string(8192, 'x')), 0600), IsOk());
  EXPECT_THAT(open_sqlite_store(folder / "text.db", kCheck), IsError(ErrorCode::kMalformed));

  auto other = store::sqlite::Database::open((folder / "other.db").native(), store::sqlite::Access::kCreate);
  ASSERT_THAT(other, IsOk());
  ASSERT_THAT((*other)->execute("CREATE TABLE t (x)"), IsOk());
  other->reset();
  EXPECT_THAT(open_sqlite_store(folder / "other.db", kCheck),
              IsError(ErrorCode::kMalformed, testing::HasSubstr("not a database of this program")));
}

TEST(SqliteStore, MigratesTheFirstSchemaAndKeepsItsRows) {
  const TemporaryFolder folder;
  {
    auto old = store::sqlite::Database::open((folder / "kms.db").native(), store::sqlite::Access::kCreate).take();
    ASSERT_THAT(old->execute(store::sqlite::kMigrations[0]), IsOk());
    ASSERT_THAT(old->execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = 1; INSERT INTO meta VALUES "
                                         "('root_check', x'{}'); INSERT INTO keys (account, region, id, spec, usage, "
                                         "origin, state, multi_region, description, policy, created_ms) VALUES "
                                         "('111122223333', 'us-east-1', 'a', 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', "
                                         "'AWS_KMS', 'Enabled', 0, '', '', 0)",
                                         store::sqlite::kApplicationId, encode_hex(kCheck))
                                 .c_str()),
                IsOk());
  }
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->reader()->find_key({test_key("a").realm, "a"}), IsOkAnd(testing::Optional(test_key("a"))));
  EXPECT_THAT(insert(**store, "b"), IsOk());
}

TEST(SqliteStore, IsCopiedWhileItIsWritten) {
  const TemporaryFolder folder;
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT(insert(**store, "before"), IsOk());
  std::atomic<bool> ending = false;
  std::thread writer([&] {
    for (int i = 0; !ending; ++i) EXPECT_THAT(insert(**store, std::to_string(i)), IsOk());
  });
  const auto copied = store::sqlite::backup(folder / "kms.db", folder / "copy.db");
  ending = true;
  writer.join();
  ASSERT_THAT(copied, IsOk());
  EXPECT_THAT(store::sqlite::backup(folder / "kms.db", folder / "copy.db"), IsError(ErrorCode::kConflict));
  struct stat status {};
  ASSERT_EQ(::stat((folder / "copy.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_THAT(store::sqlite::check_database(folder / "copy.db", kCheck), IsOk());
  auto copy = open_sqlite_store(folder / "copy.db", kCheck);
  ASSERT_THAT(copy, IsOk());
  EXPECT_THAT((*copy)->reader()->find_key({test_key("").realm, "before"}), IsOkAnd(testing::Ne(std::nullopt)));
}

TEST(SqliteStore, WrapsEveryMaterialUnderAnotherRootKey) {
  const TemporaryFolder folder;
  crypto::SystemRng rng;
  const RootKey before = RootKey::generate(rng);
  const RootKey after = RootKey::generate(rng);
  const std::string arn = key_arn(test_key("a").realm, "a");
  Material material;
  material.id.fill(3);
  material.wrapped = before.wrap_material(arn, material.id, 1, Secret::copy_of(as_bytes("secret")), rng);
  {
    auto store = open_sqlite_store(folder / "kms.db", before.check_value());
    ASSERT_THAT(store, IsOk());
    ASSERT_THAT(insert(**store, "a"), IsOk());
    ASSERT_THAT((*store)->write([&](StoreWriter& w) {
      return w.insert_material({test_key("a").realm, "a"}, material);
    }),
                IsOk());
  }
  EXPECT_THAT(store::sqlite::rewrap(folder / "kms.db", after, before, rng), IsError(ErrorCode::kUntrusted));
  EXPECT_THAT(store::sqlite::rewrap(folder / "kms.db", before, after, rng), IsOkAnd(1U));
  EXPECT_THAT(open_sqlite_store(folder / "kms.db", before.check_value()), IsError(ErrorCode::kUntrusted));
  auto store = open_sqlite_store(folder / "kms.db", after.check_value());
  ASSERT_THAT(store, IsOk());
  const auto kept = (*store)->reader()->list_materials({test_key("a").realm, "a"});
  ASSERT_THAT(kept, IsOkAnd(testing::SizeIs(1)));
  const auto opened = after.unwrap_material(arn, material.id, 1, kept->front().wrapped);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(as_text(opened->expose()), "secret");
}

// The limit on the size of files stands for a full disk: SQLite gets EFBIG where it would get ENOSPC.
TEST(SqliteStore, RefusesWritesWithoutSpaceServesReadsAndRecovers) {
  const TemporaryFolder folder;
  auto store = open_sqlite_store(folder / "kms.db", kCheck);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT(insert(**store, "before"), IsOk());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  rlimit full = unlimited;
  full.rlim_cur = std::filesystem::file_size(folder / "kms.db-wal");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto refused = insert(**store, "refused");
  const auto read = (*store)->reader()->find_key({test_key("").realm, "before"});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(read, IsOkAnd(testing::Ne(std::nullopt)));
  EXPECT_THAT(insert(**store, "after"), IsOk());
  EXPECT_THAT((*store)->reader()->find_key({test_key("").realm, "refused"}), IsOkAnd(testing::Eq(std::nullopt)));
  EXPECT_THAT((*store)->reader()->find_key({test_key("").realm, "after"}), IsOkAnd(testing::Ne(std::nullopt)));
}

TEST(SqliteStore, RefusesANewerSchema) {
  const TemporaryFolder folder;
  ASSERT_THAT(insert(*open_sqlite_store(folder / "kms.db", kCheck).take(), "a"), IsOk());
  {
    auto database =
        store::sqlite::Database::open((folder / "kms.db").native(), store::sqlite::Access::kReadWrite).take();
    ASSERT_THAT(database->execute("PRAGMA user_version = 99"), IsOk());
  }
  EXPECT_THAT(open_sqlite_store(folder / "kms.db", kCheck),
              IsError(ErrorCode::kUnsupported, testing::HasSubstr("schema version 99")));
}

}  // namespace
}  // namespace casemate::kms
