// SPDX-License-Identifier: Apache-2.0
// The flags that name a running enclave: --enclave-id or --enclave-name.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "cli/nitro/errors.h"
#include "runtime/client.h"
#include "runtime/ended.h"

namespace CLI {
class App;
class Option;
}

namespace casemate::cli::nitro {

struct EnclaveSelector {
  std::string id;
  std::string name;
};

// add_selector adds the two flags, of which one must be given; `action` is for errors.
struct SelectorOptions {
  CLI::Option* id;
  CLI::Option* name;
};
SelectorOptions add_selector(CLI::App& verb, EnclaveSelector& selector);
// add_selector_with_bare_id also takes an ID without its flag, for commands that AWS's tool does not have.
SelectorOptions add_selector_with_bare_id(CLI::App& verb, EnclaveSelector& selector);
// require_selector throws CLI11's usage error unless one of them was given.
void require_selector(const SelectorOptions& options);

// connect_selected connects to the enclave that is meant: E58 for a name that none or several have, E11 for an ID that
// does not run.
std::variant<runtime::Connection, Failure> connect_selected(runtime::Registry& registry, const EnclaveSelector& selector,
                                                            const std::string& action);

// find_selected_ended looks for it among those that have ended and are still remembered.
std::optional<runtime::Ended> find_selected_ended(const runtime::Registry& registry, const EnclaveSelector& selector);

}  // namespace casemate::cli::nitro
