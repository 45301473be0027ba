// SPDX-License-Identifier: Apache-2.0
// The schema as numbered steps: step N brings a database from version N to N + 1. Steps that were released never
// change.
#pragma once

#include <cstdint>

namespace casemate::kms::store::sqlite {

// In the file's header (`PRAGMA application_id`), so that file(1) and we know it: "csmK".
inline constexpr std::int64_t kApplicationId = 0x63736d4b;

inline constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE meta (
  name TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  row INTEGER PRIMARY KEY,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id TEXT NOT NULL,
  spec TEXT NOT NULL,
  usage TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL,
  multi_region INTEGER NOT NULL,
  description TEXT NOT NULL,
  policy TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  deletion_ms INTEGER,
  pending_window_days INTEGER,
  current_material BLOB,
  UNIQUE (account, region, id)
) STRICT;
CREATE INDEX keys_due ON keys (deletion_ms) WHERE deletion_ms IS NOT NULL;

CREATE TABLE materials (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  id BLOB NOT NULL,
  key_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  wrapped BLOB NOT NULL,
  PRIMARY KEY (account, region, id),
  UNIQUE (account, region, key_id, version),
  FOREIGN KEY (account, region, key_id) REFERENCES keys (account, region, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (account, region, name),
  FOREIGN KEY (account, region, key_id) REFERENCES keys (account, region, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_key ON aliases (account, region, key_id, name);

CREATE TABLE tags (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key_id TEXT NOT NULL,
  tag TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (account, region, key_id, tag),
  FOREIGN KEY (account, region, key_id) REFERENCES keys (account, region, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
)sql",
    R"sql(
ALTER TABLE keys ADD COLUMN primary_region TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN rotation_period_days INTEGER;
ALTER TABLE keys ADD COLUMN next_rotation_ms INTEGER;
ALTER TABLE keys ADD COLUMN on_demand_rotations INTEGER NOT NULL DEFAULT 0;
CREATE INDEX keys_of_every_region ON keys (account, id, region);
CREATE INDEX keys_rotation_due ON keys (next_rotation_ms) WHERE next_rotation_ms IS NOT NULL;

ALTER TABLE materials ADD COLUMN rotation TEXT NOT NULL DEFAULT '';
ALTER TABLE materials ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE materials ADD COLUMN valid_to_ms INTEGER;
CREATE INDEX materials_expiring ON materials (valid_to_ms) WHERE valid_to_ms IS NOT NULL;

CREATE TABLE grants (
  id TEXT NOT NULL PRIMARY KEY,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  grantee TEXT NOT NULL,
  retiring TEXT NOT NULL,
  issuing_account TEXT NOT NULL,
  operations TEXT NOT NULL,
  constraints TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  FOREIGN KEY (account, region, key_id) REFERENCES keys (account, region, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_of_key ON grants (account, region, key_id, id);
CREATE INDEX grants_retirable ON grants (region, retiring, id) WHERE retiring <> '';

CREATE TABLE last_uses (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  key_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  PRIMARY KEY (account, region, key_id),
  FOREIGN KEY (account, region, key_id) REFERENCES keys (account, region, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
)sql",
};

inline constexpr std::int64_t kSchemaVersion = sizeof kMigrations / sizeof *kMigrations;

}  // namespace casemate::kms::store::sqlite
