// SPDX-License-Identifier: Apache-2.0
// Memory that is cleared before it is freed. Linking the object replaces operator new and delete of the whole program;
// what passes through strings, JSON values and TLS buffers then leaves nothing behind, whoever forgets to clear it.
#pragma once

namespace casemate::cli {

// clear_openssl_memory does the same for OpenSSL. Call it first in main: OpenSSL takes allocators before any use only.
void clear_openssl_memory();

}  // namespace casemate::cli
