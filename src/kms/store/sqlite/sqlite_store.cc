// SPDX-License-Identifier: Apache-2.0
#include "kms/store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "kms/store/sqlite/schema.h"
#include "kms/store/sqlite/statement.h"

namespace casemate::kms::store::sqlite {
namespace {

constexpr std::string_view kRootCheck = "root_check";

std::int64_t to_ms(WallTime time) {
  return time.time_since_epoch().count();
}
WallTime from_ms(std::int64_t ms) {
  return WallTime{std::chrono::milliseconds{ms}};
}

Statement& bind_name(Statement& statement, const KeyName& name) {
  return statement.bind(1, name.realm.account).bind(2, name.realm.region).bind(3, name.id);
}

Result<MaterialId> read_material_id(const Bytes& blob) {
  MaterialId id;
  if (blob.size() != id.size()) return malformed("database: material id of {} bytes", blob.size());
  std::copy(blob.begin(), blob.end(), id.begin());
  return id;
}

template <typename T>
Result<T> known(std::optional<T> value, std::string_view what, const std::string& text) {
  if (!value) return malformed("database: {} \"{}\" is not known", what, text);
  return *value;
}

Alias read_alias(const Statement& row) {
  return {row.text(0), row.text(1), from_ms(row.number(2)), from_ms(row.number(3))};
}

// Connection: the rows as one connection sees them.
class Connection final : public StoreWriter {
 public:
  explicit Connection(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Database& database() { return *database_; }

  Result<std::optional<Key>> find_key(const KeyName& name) override {
    Statement row =
        TRY(database_->prepare("SELECT spec, usage, origin, state, multi_region, description, policy, created_ms, "
                               "deletion_ms, pending_window_days, "
                               "current_material FROM keys WHERE account = ?1 AND region = ?2 AND id = ?3"));
    if (!TRY(bind_name(row, name).step())) return std::optional<Key>{};
    Key key;
    key.realm = name.realm;
    key.id = name.id;
    key.spec = TRY(known(parse_key_spec(row.text(0)), "key spec", row.text(0)));
    key.usage = TRY(known(parse_key_usage(row.text(1)), "key usage", row.text(1)));
    key.origin = TRY(known(parse_key_origin(row.text(2)), "origin", row.text(2)));
    key.state = TRY(known(parse_key_state(row.text(3)), "key state", row.text(3)));
    key.multi_region = row.number(4) != 0;
    key.description = row.text(5);
    key.policy = row.text(6);
    key.created = from_ms(row.number(7));
    if (!row.is_null(8)) key.deletion_date = from_ms(row.number(8));
    if (!row.is_null(9)) key.pending_window_days = row.number(9);
    if (!row.is_null(10)) key.current_material = TRY(read_material_id(row.blob(10)));
    return std::optional<Key>(std::move(key));
  }

  Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) override {
    Statement row = TRY(
        database_->prepare("SELECT id FROM keys WHERE account = ?1 AND region = ?2 AND id > ?3 ORDER BY id LIMIT ?4"));
    row.bind(1, realm.account).bind(2, realm.region).bind(3, after).bind(4, static_cast<std::int64_t>(limit));
    std::vector<std::string> out;
    while (TRY(row.step())) out.push_back(row.text(0));
    return out;
  }

  Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) override {
    Statement row = TRY(database_->prepare(
        "SELECT account, region, id FROM keys WHERE deletion_ms IS NOT NULL AND deletion_ms <= ?1 LIMIT ?2"));
    row.bind(1, to_ms(now)).bind(2, static_cast<std::int64_t>(limit));
    std::vector<KeyName> out;
    while (TRY(row.step())) out.push_back({{row.text(0), row.text(1)}, row.text(2)});
    return out;
  }

  Result<std::vector<Material>> list_materials(const KeyName& name) override {
    Statement row = TRY(database_->prepare(
        "SELECT id, version, created_ms, wrapped FROM materials WHERE account = ?1 AND region = ?2 AND key_id = ?3 "
        "ORDER BY version"));
    bind_name(row, name);
    std::vector<Material> out;
    while (TRY(row.step())) {
      out.push_back({TRY(read_material_id(row.blob(0))), static_cast<std::uint32_t>(row.number(1)),
                     from_ms(row.number(2)), row.blob(3)});
    }
    return out;
  }

  Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) override {
    Statement row =
        TRY(database_->prepare("SELECT key_id FROM materials WHERE account = ?1 AND region = ?2 AND id = ?3"));
    if (!TRY(row.bind(1, realm.account).bind(2, realm.region).bind(3, ByteView(id)).step()))
      return std::optional<std::string>{};
    return std::optional<std::string>(row.text(0));
  }

  Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) override {
    Statement row = TRY(database_->prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases WHERE account = ?1 AND region = ?2 AND name = ?3"));
    if (!TRY(row.bind(1, realm.account).bind(2, realm.region).bind(3, name).step())) return std::optional<Alias>{};
    return std::optional<Alias>(read_alias(row));
  }

  Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) override {
    Statement row = TRY(database_->prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases WHERE account = ?1 AND region = ?2 AND name > ?3 "
        "ORDER BY name LIMIT ?4"));
    row.bind(1, realm.account).bind(2, realm.region).bind(3, after).bind(4, static_cast<std::int64_t>(limit));
    std::vector<Alias> out;
    while (TRY(row.step())) out.push_back(read_alias(row));
    return out;
  }

  Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) override {
    Statement row = TRY(database_->prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases WHERE account = ?1 AND region = ?2 AND key_id = ?3 "
        "AND name > ?4 ORDER BY name LIMIT ?5"));
    bind_name(row, key).bind(4, after).bind(5, static_cast<std::int64_t>(limit));
    std::vector<Alias> out;
    while (TRY(row.step())) out.push_back(read_alias(row));
    return out;
  }

  Result<Tags> list_tags(const KeyName& key) override {
    Statement row = TRY(database_->prepare(
        "SELECT tag, value FROM tags WHERE account = ?1 AND region = ?2 AND key_id = ?3 ORDER BY tag"));
    bind_name(row, key);
    Tags out;
    while (TRY(row.step())) out.emplace_back(row.text(0), row.text(1));
    return out;
  }

  Result<void> insert_key(const Key& key) override {
    Statement row =
        TRY(database_->prepare("INSERT INTO keys (account, region, id, spec, usage, origin, state, multi_region, "
                               "description, policy, created_ms, "
                               "deletion_ms, pending_window_days, current_material) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                               "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"));
    return bind_key(row, key).run();
  }

  Result<void> update_key(const Key& key) override {
    Statement row =
        TRY(database_->prepare("UPDATE keys SET spec = ?4, usage = ?5, origin = ?6, state = ?7, multi_region = ?8, "
                               "description = ?9, policy = ?10, "
                               "created_ms = ?11, deletion_ms = ?12, pending_window_days = ?13, current_material = ?14 "
                               "WHERE account = ?1 AND region = ?2 AND id = ?3"));
    return run_on_one(bind_key(row, key), "key");
  }

  Result<void> remove_key(const KeyName& name) override {
    Statement row = TRY(database_->prepare("DELETE FROM keys WHERE account = ?1 AND region = ?2 AND id = ?3"));
    return run_on_one(bind_name(row, name), "key");
  }

  Result<void> insert_material(const KeyName& key, const Material& material) override {
    Statement row =
        TRY(database_->prepare("INSERT INTO materials (account, region, key_id, id, version, created_ms, wrapped) "
                               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
    return bind_name(row, key)
        .bind(4, ByteView(material.id))
        .bind(5, std::int64_t{material.version})
        .bind(6, to_ms(material.created))
        .bind(7, ByteView(material.wrapped))
        .run();
  }

  Result<void> insert_alias(const Realm& realm, const Alias& alias) override {
    Statement row = TRY(database_->prepare(
        "INSERT INTO aliases (account, region, name, key_id, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
    return bind_alias(row, realm, alias).run();
  }

  Result<void> update_alias(const Realm& realm, const Alias& alias) override {
    Statement row =
        TRY(database_->prepare("UPDATE aliases SET key_id = ?4, created_ms = ?5, updated_ms = ?6 WHERE account = ?1 "
                               "AND region = ?2 AND name = ?3"));
    return run_on_one(bind_alias(row, realm, alias), "alias");
  }

  Result<void> remove_alias(const Realm& realm, std::string_view name) override {
    Statement row = TRY(database_->prepare("DELETE FROM aliases WHERE account = ?1 AND region = ?2 AND name = ?3"));
    return run_on_one(row.bind(1, realm.account).bind(2, realm.region).bind(3, name), "alias");
  }

  Result<void> set_tag(const KeyName& key, std::string_view tag, std::string_view value) override {
    Statement row =
        TRY(database_->prepare("INSERT INTO tags (account, region, key_id, tag, value) VALUES (?1, ?2, ?3, ?4, ?5) "
                               "ON CONFLICT (account, region, key_id, tag) DO UPDATE SET value = ?5"));
    return bind_name(row, key).bind(4, tag).bind(5, value).run();
  }

  Result<void> remove_tag(const KeyName& key, std::string_view tag) override {
    Statement row =
        TRY(database_->prepare("DELETE FROM tags WHERE account = ?1 AND region = ?2 AND key_id = ?3 AND tag = ?4"));
    return run_on_one(bind_name(row, key).bind(4, tag), "tag");
  }

 private:
  static Statement& bind_key(Statement& row, const Key& key) {
    row.bind(1, key.realm.account).bind(2, key.realm.region).bind(3, key.id);
    row.bind(4, to_string(key.spec))
        .bind(5, to_string(key.usage))
        .bind(6, to_string(key.origin))
        .bind(7, to_string(key.state));
    row.bind(8, std::int64_t{key.multi_region})
        .bind(9, key.description)
        .bind(10, key.policy)
        .bind(11, to_ms(key.created));
    key.deletion_date ? row.bind(12, to_ms(*key.deletion_date)) : row.bind_null(12);
    key.pending_window_days ? row.bind(13, *key.pending_window_days) : row.bind_null(13);
    key.current_material ? row.bind(14, ByteView(*key.current_material)) : row.bind_null(14);
    return row;
  }

  static Statement& bind_alias(Statement& row, const Realm& realm, const Alias& alias) {
    return row.bind(1, realm.account)
        .bind(2, realm.region)
        .bind(3, alias.name)
        .bind(4, alias.key_id)
        .bind(5, to_ms(alias.created))
        .bind(6, to_ms(alias.updated));
  }

  Result<void> run_on_one(Statement& statement, std::string_view what) {
    TRY(statement.run());
    if (database_->changes() != 1) return not_found("{}: no such row", what);
    return {};
  }

  std::unique_ptr<Database> database_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::unique_ptr<Database> writer, std::unique_ptr<Database> reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}

  Result<void> write(const Change& change) override {
    const std::lock_guard lock(write_mutex_);
    TRY(writer_.database().execute("BEGIN IMMEDIATE"));
    auto changed = change(writer_);
    if (changed.ok()) changed = writer_.database().execute("COMMIT");
    // A failed COMMIT may or may not have ended the transaction.
    if (!changed.ok() && sqlite3_get_autocommit(writer_.database().handle()) == 0) {
      TRY(writer_.database().execute("ROLLBACK"));
    }
    return changed;
  }

  Result<std::optional<Key>> find_key(const KeyName& name) override { return read()->find_key(name); }
  Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) override {
    return read()->list_keys(realm, after, limit);
  }
  Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) override {
    return read()->list_due(now, limit);
  }
  Result<std::vector<Material>> list_materials(const KeyName& name) override { return read()->list_materials(name); }
  Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) override {
    return read()->find_material_owner(realm, id);
  }
  Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) override {
    return read()->find_alias(realm, name);
  }
  Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) override {
    return read()->list_aliases(realm, after, limit);
  }
  Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) override {
    return read()->list_aliases_of(key, after, limit);
  }
  Result<Tags> list_tags(const KeyName& key) override { return read()->list_tags(key); }

 private:
  // Locked holds the reading connection until the end of the expression that made it.
  class Locked {
   public:
    explicit Locked(SqliteStore& store) : lock_(store.read_mutex_), reader_(store.reader_) {}
    StoreReader* operator->() { return &reader_; }

   private:
    std::lock_guard<std::mutex> lock_;
    StoreReader& reader_;
  };
  Locked read() { return Locked(*this); }

  std::mutex write_mutex_;
  Connection writer_;
  std::mutex read_mutex_;
  Connection reader_;
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

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const os::Path& path, ByteView root_check) {
  std::int64_t version = 0;
  if (is_empty_or_missing(path) && is_empty_or_missing(path.native() + "-wal")) {
    // SQLite creates files with mode 0644 and gives its log and index the database's own mode.
    const UniqueFd created = TRY(os::open(path, O_CREAT | O_RDWR, 0600));
    if (::fchmod(created.get(), 0600) != 0) return errno_error(path.native());
  } else {
    version = TRY(inspect_unchanged(path, root_check).in(path.native()));
  }
  auto writer = TRY(Database::open(path.native(), Access::kReadWrite));
  TRY(configure(*writer).in(path.native()));
  TRY(migrate(*writer, version, root_check).in(path.native()));
  auto reader = TRY(Database::open(path.native(), Access::kReadWrite));
  TRY(configure(*reader).in(path.native()));
  TRY(reader->execute("PRAGMA query_only = ON"));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(std::move(writer), std::move(reader)));
}

}  // namespace casemate::kms::store::sqlite
