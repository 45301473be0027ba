// SPDX-License-Identifier: Apache-2.0
// vsock-proxy's YAML, host names and overrides: what is accepted is canonical and stays so.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "proxy/allowlist.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  using namespace casemate::proxy;
  const std::string_view text = as_text({data, size});
  if (const auto host = canonical_host(text); host.ok()) {
    const auto again = canonical_host(*host);
    if (!again.ok() || *again != *host) std::abort();
  }
  if (const auto given = parse_override(text); given.ok() && given->port == 0) std::abort();
  if (const auto route = parse_route(text); route.ok() && route->remote.port == 0) std::abort();
  if (const auto config = parse_config(text, Wildcards::kRefused); config.ok()) {
    for (const auto& entry : config->allowlist.entries()) {
      if (entry.port == 0 || entry.host.empty() || entry.host.find('*') != std::string::npos) std::abort();
      if (!config->allowlist.names({entry.host, entry.port})) std::abort();
    }
  }
  return 0;
}
