// SPDX-License-Identifier: Apache-2.0
// The store in SQLite: one database file in WAL mode, one writer that commits for all who wait, fsync before a write
// returns; or a database in memory, for tests.
#pragma once

#include <memory>

#include "kms/root_key.h"
#include "kms/store.h"
#include "os/file.h"

namespace casemate::kms::store::sqlite {

// open_sqlite_store opens or creates the database (mode 0600). An existing one must be whole, of this program's kind,
// not of a newer schema, and made with the root key that gives `root_check` (RootKey::check_value); otherwise nothing
// in it is changed. Older schemas are migrated. Errors: kUntrusted (another root key), kMalformed (damaged, or no such
// database), kUnsupported (newer schema), kDenied, kLimit, kInternal.
Result<std::unique_ptr<Store>> open_sqlite_store(const os::Path& path, ByteView root_check);

// create_memory_store is empty and is gone with its owner.
Result<std::unique_ptr<Store>> create_memory_store();

// check_database makes open_sqlite_store's checks of an existing database and changes nothing.
Result<void> check_database(const os::Path& path, ByteView root_check);

// backup copies a database that others may be using, as of one moment, to a file that does not exist yet (mode 0600).
// The copy needs the same root key. Errors: kConflict (the target exists), kLimit, kMalformed, kInternal.
Result<void> backup(const os::Path& from, const os::Path& to);

// rewrap wraps every material under another root key and returns how many, in one transaction. Nobody else may have
// the database open. Errors: as open_sqlite_store, kUntrusted (a material that does not open).
Result<std::size_t> rewrap(const os::Path& path, const RootKey& from, const RootKey& to, Rng& rng);

}  // namespace casemate::kms::store::sqlite
