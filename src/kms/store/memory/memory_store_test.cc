// SPDX-License-Identifier: Apache-2.0
#include "kms/store/memory/memory_store.h"

#include "kms/store_suite.h"

namespace casemate::kms {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StoreSuite, testing::Values(StoreMaker{"memory", store::memory::create_memory_store}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace casemate::kms
