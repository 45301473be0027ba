// SPDX-License-Identifier: Apache-2.0
// MemoryStore: a Store that ends with the process. For tests.
#pragma once

#include <memory>

#include "kms/store.h"

namespace casemate::kms::store::memory {

std::unique_ptr<Store> create_memory_store();

}  // namespace casemate::kms::store::memory
