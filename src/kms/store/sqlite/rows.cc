// SPDX-License-Identifier: Apache-2.0
#include "kms/store/sqlite/rows.h"

#include <algorithm>

namespace casemate::kms::store::sqlite {
namespace {

std::int64_t to_ms(WallTime time) {
  return time.time_since_epoch().count();
}
WallTime from_ms(std::int64_t ms) {
  return WallTime{std::chrono::milliseconds{ms}};
}

std::optional<WallTime> read_time(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return from_ms(row.number(column));
}
Statement& bind_time(Statement& statement, int index, const std::optional<WallTime>& time) {
  return time ? statement.bind(index, to_ms(*time)) : statement.bind_null(index);
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

// Rows as one connection sees them.
class Rows final : public StoreWriter {
 public:
  explicit Rows(Database& database) : database_(database) {}

  Result<std::optional<Key>> find_key(const KeyName& name) override {
    Statement row = TRY(database_.prepare(
        "SELECT spec, usage, origin, state, multi_region, description, policy, created_ms, deletion_ms, "
        "pending_window_days, current_material, primary_region, rotation_period_days, next_rotation_ms, "
        "on_demand_rotations FROM keys WHERE account = ?1 AND region = ?2 AND id = ?3"));
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
    key.deletion_date = read_time(row, 8);
    if (!row.is_null(9)) key.pending_window_days = row.number(9);
    if (!row.is_null(10)) key.current_material = TRY(read_material_id(row.blob(10)));
    key.primary_region = row.text(11);
    if (!row.is_null(12)) key.rotation_period_days = row.number(12);
    key.next_rotation = read_time(row, 13);
    key.on_demand_rotations = row.number(14);
    return std::optional<Key>(std::move(key));
  }

  Result<std::vector<std::string>> list_keys(const Realm& realm, std::string_view after, std::size_t limit) override {
    Statement row = TRY(
        database_.prepare("SELECT id FROM keys WHERE account = ?1 AND region = ?2 AND id > ?3 ORDER BY id LIMIT ?4"));
    row.bind(1, realm.account).bind(2, realm.region).bind(3, after).bind(4, static_cast<std::int64_t>(limit));
    std::vector<std::string> out;
    while (TRY(row.step())) out.push_back(row.text(0));
    return out;
  }

  Result<std::vector<KeyName>> list_due(WallTime now, std::size_t limit) override {
    return list_names(
        TRY(database_.prepare(
            "SELECT account, region, id FROM keys WHERE deletion_ms IS NOT NULL AND deletion_ms <= ?1 LIMIT ?2")),
        now, limit);
  }

  Result<std::vector<KeyName>> list_rotation_due(WallTime now, std::size_t limit) override {
    return list_names(TRY(database_.prepare("SELECT account, region, id FROM keys WHERE next_rotation_ms IS NOT NULL "
                                            "AND next_rotation_ms <= ?1 LIMIT ?2")),
                      now, limit);
  }

  Result<std::vector<KeyName>> list_expired(WallTime now, std::size_t limit) override {
    return list_names(TRY(database_.prepare("SELECT DISTINCT account, region, key_id FROM materials WHERE valid_to_ms "
                                            "IS NOT NULL AND valid_to_ms <= ?1 AND length(wrapped) > 0 LIMIT ?2")),
                      now, limit);
  }

  Result<std::vector<std::string>> list_regions(const std::string& account, std::string_view id) override {
    Statement row = TRY(database_.prepare("SELECT region FROM keys WHERE account = ?1 AND id = ?2 ORDER BY region"));
    row.bind(1, account).bind(2, id);
    std::vector<std::string> out;
    while (TRY(row.step())) out.push_back(row.text(0));
    return out;
  }

  Result<std::vector<Material>> list_materials(const KeyName& name) override {
    Statement row = TRY(
        database_.prepare("SELECT id, version, created_ms, wrapped, rotation, description, valid_to_ms FROM materials "
                          "WHERE account = ?1 AND region = ?2 AND key_id = ?3 ORDER BY version"));
    bind_name(row, name);
    std::vector<Material> out;
    while (TRY(row.step())) out.push_back(TRY(read_material(row)));
    return out;
  }

  Result<std::vector<MaterialOfKey>> list_all_materials() override {
    Statement row = TRY(database_.prepare(
        "SELECT id, version, created_ms, wrapped, rotation, description, valid_to_ms, account, region, key_id "
        "FROM materials"));
    std::vector<MaterialOfKey> out;
    while (TRY(row.step())) out.push_back({{{row.text(7), row.text(8)}, row.text(9)}, TRY(read_material(row))});
    return out;
  }

  Result<std::optional<std::string>> find_material_owner(const Realm& realm, const MaterialId& id) override {
    Statement row =
        TRY(database_.prepare("SELECT key_id FROM materials WHERE account = ?1 AND region = ?2 AND id = ?3"));
    if (!TRY(row.bind(1, realm.account).bind(2, realm.region).bind(3, ByteView(id)).step()))
      return std::optional<std::string>{};
    return std::optional<std::string>(row.text(0));
  }

  Result<std::optional<Alias>> find_alias(const Realm& realm, std::string_view name) override {
    Statement row = TRY(database_.prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases WHERE account = ?1 AND region = ?2 AND name = ?3"));
    if (!TRY(row.bind(1, realm.account).bind(2, realm.region).bind(3, name).step())) return std::optional<Alias>{};
    return std::optional<Alias>(read_alias(row));
  }

  Result<std::vector<Alias>> list_aliases(const Realm& realm, std::string_view after, std::size_t limit) override {
    Statement row = TRY(database_.prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases WHERE account = ?1 AND region = ?2 AND name > ?3 "
        "ORDER BY name LIMIT ?4"));
    row.bind(1, realm.account).bind(2, realm.region).bind(3, after).bind(4, static_cast<std::int64_t>(limit));
    std::vector<Alias> out;
    while (TRY(row.step())) out.push_back(read_alias(row));
    return out;
  }

  Result<std::vector<Alias>> list_aliases_of(const KeyName& key, std::string_view after, std::size_t limit) override {
    // Left to itself SQLite walks all aliases of the realm in the order of their names.
    Statement row = TRY(database_.prepare(
        "SELECT name, key_id, created_ms, updated_ms FROM aliases INDEXED BY aliases_of_key WHERE account = ?1 AND "
        "region = ?2 AND key_id = ?3 AND name > ?4 ORDER BY name LIMIT ?5"));
    bind_name(row, key).bind(4, after).bind(5, static_cast<std::int64_t>(limit));
    std::vector<Alias> out;
    while (TRY(row.step())) out.push_back(read_alias(row));
    return out;
  }

  Result<Tags> list_tags(const KeyName& key) override {
    Statement row = TRY(database_.prepare(
        "SELECT tag, value FROM tags WHERE account = ?1 AND region = ?2 AND key_id = ?3 ORDER BY tag"));
    bind_name(row, key);
    Tags out;
    while (TRY(row.step())) out.emplace_back(row.text(0), row.text(1));
    return out;
  }

  Result<std::optional<GrantOfKey>> find_grant(std::string_view grant_id) override {
    Statement row = TRY(database_.prepare(
        "SELECT id, name, grantee, retiring, issuing_account, operations, constraints, created_ms, account, region, "
        "key_id FROM grants WHERE id = ?1"));
    if (!TRY(row.bind(1, grant_id).step())) return std::optional<GrantOfKey>{};
    return std::optional<GrantOfKey>(TRY(read_grant_of_key(row)));
  }

  Result<std::vector<Grant>> list_grants(const KeyName& key) override {
    Statement row = TRY(database_.prepare(
        "SELECT id, name, grantee, retiring, issuing_account, operations, constraints, created_ms FROM grants "
        "WHERE account = ?1 AND region = ?2 AND key_id = ?3 ORDER BY id"));
    bind_name(row, key);
    std::vector<Grant> out;
    while (TRY(row.step())) out.push_back(TRY(read_grant(row)));
    return out;
  }

  Result<std::vector<GrantOfKey>> list_retirable(const std::string& region, std::string_view principal,
                                                 std::string_view after, std::size_t limit) override {
    Statement row = TRY(database_.prepare(
        "SELECT id, name, grantee, retiring, issuing_account, operations, constraints, created_ms, account, region, "
        "key_id FROM grants WHERE region = ?1 AND retiring = ?2 AND retiring <> '' AND id > ?3 ORDER BY id LIMIT ?4"));
    row.bind(1, region).bind(2, principal).bind(3, after).bind(4, static_cast<std::int64_t>(limit));
    std::vector<GrantOfKey> out;
    while (TRY(row.step())) out.push_back(TRY(read_grant_of_key(row)));
    return out;
  }

  Result<std::optional<LastUse>> find_last_use(const KeyName& key) override {
    Statement row = TRY(database_.prepare(
        "SELECT operation, time_ms, event_id, request_id FROM last_uses WHERE account = ?1 AND region = ?2 AND key_id "
        "= ?3"));
    if (!TRY(bind_name(row, key).step())) return std::optional<LastUse>{};
    return std::optional<LastUse>({row.text(0), from_ms(row.number(1)), row.text(2), row.text(3)});
  }

  Result<void> insert_key(const Key& key) override {
    Statement row = TRY(database_.prepare(
        "INSERT INTO keys (account, region, id, spec, usage, origin, state, multi_region, description, policy, "
        "created_ms, deletion_ms, pending_window_days, current_material, primary_region, rotation_period_days, "
        "next_rotation_ms, on_demand_rotations) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16, ?17, ?18)"));
    return bind_key(row, key).run();
  }

  Result<void> update_key(const Key& key) override {
    Statement row = TRY(database_.prepare(
        "UPDATE keys SET spec = ?4, usage = ?5, origin = ?6, state = ?7, multi_region = ?8, description = ?9, policy = "
        "?10, created_ms = ?11, deletion_ms = ?12, pending_window_days = ?13, current_material = ?14, primary_region = "
        "?15, rotation_period_days = ?16, next_rotation_ms = ?17, on_demand_rotations = ?18 WHERE account = ?1 AND "
        "region = ?2 AND id = ?3"));
    return run_on_one(bind_key(row, key), "key");
  }

  Result<void> remove_key(const KeyName& name) override {
    Statement row = TRY(database_.prepare("DELETE FROM keys WHERE account = ?1 AND region = ?2 AND id = ?3"));
    return run_on_one(bind_name(row, name), "key");
  }

  Result<void> insert_material(const KeyName& key, const Material& material) override {
    Statement row = TRY(database_.prepare(
        "INSERT INTO materials (account, region, key_id, id, version, created_ms, wrapped, rotation, description, "
        "valid_to_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"));
    return bind_material(row, key, material).run();
  }

  Result<void> update_material(const KeyName& key, const Material& material) override {
    Statement row = TRY(database_.prepare(
        "UPDATE materials SET version = ?5, created_ms = ?6, wrapped = ?7, rotation = ?8, description = ?9, "
        "valid_to_ms = ?10 WHERE account = ?1 AND region = ?2 AND key_id = ?3 AND id = ?4"));
    return run_on_one(bind_material(row, key, material), "material");
  }

  Result<void> insert_alias(const Realm& realm, const Alias& alias) override {
    Statement row = TRY(database_.prepare(
        "INSERT INTO aliases (account, region, name, key_id, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
    return bind_alias(row, realm, alias).run();
  }

  Result<void> update_alias(const Realm& realm, const Alias& alias) override {
    Statement row =
        TRY(database_.prepare("UPDATE aliases SET key_id = ?4, created_ms = ?5, updated_ms = ?6 WHERE account = ?1 "
                              "AND region = ?2 AND name = ?3"));
    return run_on_one(bind_alias(row, realm, alias), "alias");
  }

  Result<void> remove_alias(const Realm& realm, std::string_view name) override {
    Statement row = TRY(database_.prepare("DELETE FROM aliases WHERE account = ?1 AND region = ?2 AND name = ?3"));
    return run_on_one(row.bind(1, realm.account).bind(2, realm.region).bind(3, name), "alias");
  }

  Result<void> set_tag(const KeyName& key, std::string_view tag, std::string_view value) override {
    Statement row =
        TRY(database_.prepare("INSERT INTO tags (account, region, key_id, tag, value) VALUES (?1, ?2, ?3, ?4, ?5) "
                              "ON CONFLICT (account, region, key_id, tag) DO UPDATE SET value = ?5"));
    return bind_name(row, key).bind(4, tag).bind(5, value).run();
  }

  Result<void> remove_tag(const KeyName& key, std::string_view tag) override {
    Statement row =
        TRY(database_.prepare("DELETE FROM tags WHERE account = ?1 AND region = ?2 AND key_id = ?3 AND tag = ?4"));
    return run_on_one(bind_name(row, key).bind(4, tag), "tag");
  }

  Result<void> insert_grant(const KeyName& key, const Grant& grant) override {
    Statement row = TRY(database_.prepare(
        "INSERT INTO grants (account, region, key_id, id, name, grantee, retiring, issuing_account, operations, "
        "constraints, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"));
    const std::string operations = encode_operations(grant.operations);
    const std::string constraints = encode_constraints(grant.constraints);
    bind_name(row, key).bind(4, grant.id).bind(5, grant.name).bind(6, grant.grantee).bind(7, grant.retiring);
    return row.bind(8, grant.issuing_account)
        .bind(9, operations)
        .bind(10, constraints)
        .bind(11, to_ms(grant.created))
        .run();
  }

  Result<void> remove_grant(std::string_view grant_id) override {
    Statement row = TRY(database_.prepare("DELETE FROM grants WHERE id = ?1"));
    return run_on_one(row.bind(1, grant_id), "grant");
  }

  Result<void> set_last_use(const KeyName& key, const LastUse& use) override {
    Statement row = TRY(database_.prepare(
        "INSERT INTO last_uses (account, region, key_id, operation, time_ms, event_id, request_id) VALUES (?1, ?2, ?3, "
        "?4, ?5, ?6, ?7) ON CONFLICT (account, region, key_id) DO UPDATE SET operation = ?4, time_ms = ?5, event_id = "
        "?6, request_id = ?7"));
    return bind_name(row, key)
        .bind(4, use.operation)
        .bind(5, to_ms(use.time))
        .bind(6, use.event_id)
        .bind(7, use.request_id)
        .run();
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
    bind_time(row, 12, key.deletion_date);
    key.pending_window_days ? row.bind(13, *key.pending_window_days) : row.bind_null(13);
    key.current_material ? row.bind(14, ByteView(*key.current_material)) : row.bind_null(14);
    row.bind(15, key.primary_region);
    key.rotation_period_days ? row.bind(16, *key.rotation_period_days) : row.bind_null(16);
    bind_time(row, 17, key.next_rotation);
    return row.bind(18, key.on_demand_rotations);
  }

  static Statement& bind_material(Statement& row, const KeyName& key, const Material& material) {
    bind_name(row, key)
        .bind(4, ByteView(material.id))
        .bind(5, std::int64_t{material.version})
        .bind(6, to_ms(material.created))
        .bind(7, ByteView(material.wrapped))
        .bind(8, to_string(material.rotation))
        .bind(9, material.description);
    return bind_time(row, 10, material.valid_to);
  }

  static Result<Material> read_material(const Statement& row) {
    Material material;
    material.id = TRY(read_material_id(row.blob(0)));
    material.version = static_cast<std::uint32_t>(row.number(1));
    material.created = from_ms(row.number(2));
    material.wrapped = row.blob(3);
    material.rotation = TRY(known(parse_rotation_type(row.text(4)), "rotation", row.text(4)));
    material.description = row.text(5);
    material.valid_to = read_time(row, 6);
    return material;
  }

  static Result<Grant> read_grant(const Statement& row) {
    Grant grant;
    grant.id = row.text(0);
    grant.name = row.text(1);
    grant.grantee = row.text(2);
    grant.retiring = row.text(3);
    grant.issuing_account = row.text(4);
    grant.operations = parse_operations(row.text(5));
    grant.constraints = TRY(parse_constraints(row.text(6)).in("database"));
    grant.created = from_ms(row.number(7));
    return grant;
  }
  static Result<GrantOfKey> read_grant_of_key(const Statement& row) {
    return GrantOfKey{{{row.text(8), row.text(9)}, row.text(10)}, TRY(read_grant(row))};
  }

  Result<std::vector<KeyName>> list_names(Statement row, WallTime now, std::size_t limit) {
    row.bind(1, to_ms(now)).bind(2, static_cast<std::int64_t>(limit));
    std::vector<KeyName> out;
    while (TRY(row.step())) out.push_back({{row.text(0), row.text(1)}, row.text(2)});
    return out;
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
    if (database_.changes() != 1) return not_found("{}: no such row", what);
    return {};
  }

  Database& database_;
};

}  // namespace

std::unique_ptr<StoreWriter> make_rows(Database& database) {
  return std::make_unique<Rows>(database);
}

}  // namespace casemate::kms::store::sqlite
