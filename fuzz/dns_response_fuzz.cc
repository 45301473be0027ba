// SPDX-License-Identifier: Apache-2.0
// DNS responses: a time to live is never negative, and a cut response has the verdict of none or of fewer records.
#include "base/check.h"
#include "proxy/dns.h"

using namespace casemate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const auto ttl = proxy::smallest_ttl(input);
  CASEMATE_CHECK(!ttl || (ttl->count() >= 0 && ttl->count() <= 0x7fffffff));
  if (size < 12) CASEMATE_CHECK(!ttl);
  return 0;
}
