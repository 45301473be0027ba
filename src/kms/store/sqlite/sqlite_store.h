// SPDX-License-Identifier: Apache-2.0
// SqliteStore: one database file in WAL mode, one writer, fsync before a write returns.
#pragma once

#include <memory>

#include "kms/store.h"
#include "os/file.h"

namespace casemate::kms::store::sqlite {

// open_sqlite_store opens or creates the database (mode 0600). An existing one must be whole, of this program's kind,
// not of a newer schema, and made with the root key that gives `root_check` (RootKey::check_value); otherwise nothing
// in it is changed. Older schemas are migrated. Errors: kUntrusted (another root key), kMalformed (damaged, or no such
// database), kUnsupported (newer schema), kDenied, kLimit, kInternal.
Result<std::unique_ptr<Store>> open_sqlite_store(const os::Path& path, ByteView root_check);

}  // namespace casemate::kms::store::sqlite
