// SPDX-License-Identifier: Apache-2.0
#include "kms/store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <system_error>

#include "kms/identifier.h"
#include "kms/store/sqlite/rows.h"
#include "kms/store/sqlite/schema.h"
#include "kms/store/sqlite/statement.h"

namespace casemate::kms::store::sqlite {
namespace {

constexpr std::string_view kRootCheck = "root_check";
// Changes that one commit takes along: bounds how long the first of them waits for the others.
constexpr std::size_t kMostTogether = 64;

bool in_transaction(const Database& database) {
  return sqlite3_get_autocommit(database.handle()) == 0;
}

// Whoever writes while nobody else does commits for all that wait by then; the others wait for it.
class GroupCommit {
 public:
  explicit GroupCommit(Database& database) : database_(database), rows_(make_rows(database)) {}

  StoreReader& rows() { return *rows_; }

  // `exclusive` is held around each commit, for readers on the same connection; null when there are none.
  Result<void> write(const Store::Change& change, std::mutex* exclusive) {
    Pending mine{change, {}, false};
    std::unique_lock lock(mutex_);
    queue_.push_back(&mine);
    idle_.wait(lock, [&] { return mine.done || !committing_; });
    if (mine.done) return mine.result;
    committing_ = true;
    std::vector<Pending*> batch(queue_.begin(),
                                queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMostTogether)));
    // A thread that was woken to lead may find its own change behind the first batch.
    if (std::find(batch.begin(), batch.end(), &mine) == batch.end()) batch.assign(1, &mine);
    std::erase_if(queue_, [&](Pending* p) { return std::find(batch.begin(), batch.end(), p) != batch.end(); });
    lock.unlock();
    {
      std::unique_lock<std::mutex> alone;
      if (exclusive != nullptr) alone = std::unique_lock(*exclusive);
      commit(batch);
    }
    lock.lock();
    for (Pending* pending : batch) pending->done = true;
    committing_ = false;
    idle_.notify_all();
    return mine.result;
  }

 private:
  struct Pending {
    const Store::Change& change;
    Result<void> result;
    bool done;
  };

  static void fail_all(const std::vector<Pending*>& batch, const Error& error) {
    for (Pending* pending : batch) {
      if (pending->result.ok()) pending->result = error;
    }
  }

  // A change that fails is undone alone, unless the failure was the disk's: then SQLite has undone all.
  Result<void> apply(Pending& pending) {
    TRY(database_.execute("SAVEPOINT change"));
    pending.result = pending.change(*rows_);
    if (!in_transaction(database_)) return pending.result.ok() ? internal("transaction lost") : pending.result.error();
    if (!pending.result.ok()) TRY(database_.execute("ROLLBACK TO change"));
    return database_.execute("RELEASE change");
  }

  void commit(const std::vector<Pending*>& batch) {
    auto state = database_.execute("BEGIN IMMEDIATE");
    for (std::size_t i = 0; state.ok() && i < batch.size(); ++i) state = apply(*batch[i]);
    if (state.ok()) state = database_.execute("COMMIT");
    if (state.ok()) return;
    // A failed COMMIT may or may not have ended the transaction.
    if (in_transaction(database_)) {
      if (const auto undone = database_.execute("ROLLBACK"); !undone.ok()) state = undone;
    }
    fail_all(batch, state.error());
  }

  Database& database_;
  std::unique_ptr<StoreWriter> rows_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable idle_;
  std::vector<Pending*> queue_;
  bool committing_ = false;
};

class FileStore final : public Store {
 public:
  FileStore(std::unique_ptr<Database> writer, std::unique_ptr<Database> reader)
      : writer_(std::move(writer)), reader_(std::move(reader)), commits_(*writer_), rows_(make_rows(*reader_)) {}

  Result<void> write(const Change& change) override { return commits_.write(change, nullptr); }
  Reading reader() override { return Reading(std::unique_lock(reading_), *rows_); }

 private:
  std::unique_ptr<Database> writer_;
  std::unique_ptr<Database> reader_;
  GroupCommit commits_;
  std::mutex reading_;
  std::unique_ptr<StoreWriter> rows_;
};

// MemoryStore has one connection, which readers and the writer take in turn.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(std::unique_ptr<Database> database) : database_(std::move(database)), commits_(*database_) {}

  Result<void> write(const Change& change) override { return commits_.write(change, &turn_); }
  Reading reader() override { return Reading(std::unique_lock(turn_), commits_.rows()); }

 private:
  std::unique_ptr<Database> database_;
  GroupCommit commits_;
  std::mutex turn_;
};

Result<std::int64_t> read_number(Database& database, const char* pragma) {
  Statement row = TRY(database.prepare(pragma));
  if (!TRY(row.step())) return malformed("database: {}: no answer", pragma);
  return row.number(0);
}

Result<void> configure(Database& database) {
  // FULL: a commit is on the disk before it returns, in WAL mode too.
  return database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
}

Result<void> check_integrity(Database& database) {
  Statement row = TRY(database.prepare("PRAGMA quick_check(1)"));
  if (!TRY(row.step())) return malformed("integrity check gave no answer");
  std::string verdict = row.text(0);
  if (verdict == "ok") return {};
  std::replace(verdict.begin(), verdict.end(), '\n', ' ');
  return malformed("damaged: {}", verdict);
}

// inspect reads only. It gives the schema's version: 0 for a database whose creation was cut short.
Result<std::int64_t> inspect(Database& database, ByteView root_check) {
  TRY(check_integrity(database));
  if (TRY(read_number(database, "SELECT count(*) FROM sqlite_schema")) == 0) return std::int64_t{0};
  if (TRY(read_number(database, "PRAGMA application_id")) != kApplicationId)
    return malformed("not a database of this program");
  const std::int64_t version = TRY(read_number(database, "PRAGMA user_version"));
  if (version < 1) return malformed("schema version {}", version);
  if (version > kSchemaVersion) return unsupported("schema version {}, this program knows {}", version, kSchemaVersion);
  Statement row = TRY(database.prepare("SELECT value FROM meta WHERE name = ?1"));
  if (!TRY(row.bind(1, kRootCheck).step())) return malformed("no root key check value");
  if (!equal(row.blob(0), root_check)) return untrusted("made with another root key");
  return version;
}

Result<void> migrate(Database& database, std::int64_t from, ByteView root_check) {
  if (from == kSchemaVersion) return {};
  TRY(database.execute("BEGIN IMMEDIATE"));
  for (std::int64_t version = from; version < kSchemaVersion; ++version) TRY(database.execute(kMigrations[version]));
  if (from == 0) {
    TRY(database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str()));
    Statement row = TRY(database.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)"));
    TRY(row.bind(1, kRootCheck).bind(2, root_check).run());
  }
  TRY(database.execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion).c_str()));
  return database.execute("COMMIT");
}

bool is_empty_or_missing(const os::Path& path) {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  return ignored || size == 0;
}

// A database killed with changes still in its log must keep both files as they are until it is known to be ours.
Result<std::int64_t> inspect_unchanged(const os::Path& path, ByteView root_check) {
  const bool log_is_empty = is_empty_or_missing(path.native() + "-wal");
  const auto database = TRY(Database::open(path.native(), Access::kReadWrite));
  if (!log_is_empty) database->leave_as_is();
  return inspect(*database, root_check);
}

Result<std::unique_ptr<Database>> open_checked(const os::Path& path, ByteView root_check) {
  std::int64_t version = 0;
  if (is_empty_or_missing(path) && is_empty_or_missing(path.native() + "-wal")) {
    // SQLite creates files with mode 0644 and gives its log and index the database's own mode.
    const UniqueFd created = TRY(os::open(path, O_CREAT | O_RDWR, 0600));
    if (::fchmod(created.get(), 0600) != 0) return errno_error(path.native());
  } else {
    version = TRY(inspect_unchanged(path, root_check).in(path.native()));
  }
  auto database = TRY(Database::open(path.native(), Access::kReadWrite));
  TRY(configure(*database).in(path.native()));
  TRY(migrate(*database, version, root_check).in(path.native()));
  return database;
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const os::Path& path, ByteView root_check) {
  auto writer = TRY(open_checked(path, root_check));
  auto reader = TRY(Database::open(path.native(), Access::kReadWrite));
  TRY(configure(*reader).in(path.native()));
  TRY(reader->execute("PRAGMA query_only = ON"));
  return std::unique_ptr<Store>(std::make_unique<FileStore>(std::move(writer), std::move(reader)));
}

Result<std::unique_ptr<Store>> create_memory_store() {
  auto database = TRY(Database::open(":memory:", Access::kCreate));
  TRY(database->execute("PRAGMA foreign_keys = ON"));
  TRY(migrate(*database, 0, Bytes(32)));
  return std::unique_ptr<Store>(std::make_unique<MemoryStore>(std::move(database)));
}

Result<void> check_database(const os::Path& path, ByteView root_check) {
  if (is_empty_or_missing(path)) return not_found("{}: no database", path.native());
  TRY(inspect_unchanged(path, root_check).in(path.native()));
  return {};
}

Result<void> backup(const os::Path& from, const os::Path& to) {
  const auto source = TRY(Database::open(from.native(), Access::kReadWrite));
  // The copy is this program's own while it is made: a crash leaves no half of a database under the name.
  const UniqueFd created = TRY(os::open(to, O_CREAT | O_EXCL | O_RDWR, 0600));
  const auto target = TRY(Database::open(to.native(), Access::kReadWrite));
  sqlite3_backup* copy = sqlite3_backup_init(target->handle(), "main", source->handle(), "main");
  if (copy == nullptr) return sqlite_error(target->handle(), to.native());
  const int stepped = sqlite3_backup_step(copy, -1);
  const int finished = sqlite3_backup_finish(copy);
  if (stepped != SQLITE_DONE || finished != SQLITE_OK) return sqlite_error(target->handle(), to.native());
  // A copy of a database in WAL mode would want its log beside it.
  TRY(target->execute("PRAGMA journal_mode = DELETE"));
  if (::fsync(created.get()) != 0) return errno_error(to.native());
  return {};
}

Result<std::size_t> rewrap(const os::Path& path, const RootKey& from, const RootKey& to, Rng& rng) {
  TRY(check_database(path, from.check_value()));
  const auto database = TRY(open_checked(path, from.check_value()));
  GroupCommit commits(*database);
  std::size_t count = 0;
  TRY(commits.write(
      [&](StoreWriter& writer) -> Result<void> {
        for (auto& [name, material] : TRY(writer.list_all_materials())) {
          if (material.wrapped.empty()) continue;
          const std::string arn = key_arn(name.realm, name.id);
          const Secret secret = TRY(from.unwrap_material(arn, material.id, material.version, material.wrapped).in(arn));
          material.wrapped = to.wrap_material(arn, material.id, material.version, secret, rng);
          TRY(writer.update_material(name, material));
          ++count;
        }
        Statement row = TRY(database->prepare("UPDATE meta SET value = ?2 WHERE name = ?1"));
        const Bytes check = to.check_value();
        return row.bind(1, kRootCheck).bind(2, ByteView(check)).run();
      },
      nullptr));
  return count;
}

}  // namespace casemate::kms::store::sqlite
