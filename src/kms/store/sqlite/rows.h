// SPDX-License-Identifier: Apache-2.0
// Rows: the store's tables as SQL statements on one connection.
#pragma once

#include <memory>

#include "kms/store.h"
#include "kms/store/sqlite/statement.h"

namespace casemate::kms::store::sqlite {

// make_rows gives the rows as `database` sees them; it must outlive them.
std::unique_ptr<StoreWriter> make_rows(Database& database);

}  // namespace casemate::kms::store::sqlite
