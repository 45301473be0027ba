// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/select.h"

#include <CLI/CLI.hpp>

namespace casemate::cli::nitro {

namespace {

SelectorOptions add_options(CLI::App& verb, EnclaveSelector& selector, const std::string& id_names) {
  SelectorOptions options{verb.add_option(id_names, selector.id, "The enclave's ID")->type_name("ID"),
                          verb.add_option("--enclave-name", selector.name, "The enclave's name")->type_name("NAME")};
  options.id->excludes(options.name);
  return options;
}

}  // namespace

SelectorOptions add_selector(CLI::App& verb, EnclaveSelector& selector) { return add_options(verb, selector, "--enclave-id"); }

SelectorOptions add_selector_with_bare_id(CLI::App& verb, EnclaveSelector& selector) { return add_options(verb, selector, "--enclave-id,ENCLAVE"); }

void require_selector(const SelectorOptions& options) {
  if (options.id->count() == 0 && options.name->count() == 0) throw CLI::RequiredError("--enclave-id or --enclave-name");
}

std::variant<runtime::Connection, Failure> connect_selected(runtime::Registry& registry, const EnclaveSelector& selector,
                                                            const std::string& action) {
  std::string id = selector.id;
  if (!selector.name.empty()) {
    const Result<runtime::Listing> listing = runtime::list_enclaves(registry, runtime::Metadata::kNo);
    if (!listing) return Failure{ECode::kReadFromDisk, listing.error(), action, {"list the enclaves"}};
    std::size_t matches = 0;
    for (const runtime::EnclaveInfo& info : listing->enclaves) {
      if (info.name != selector.name) continue;
      ++matches;
      id = info.id;
    }
    if (matches != 1)
      return Failure{ECode::kNaming, not_found("enclave name `{}`: {} enclaves have it, want one", selector.name, matches),
                     action, {"find the enclave by its name"}};
  }
  Result<runtime::Connection> connection = runtime::open_enclave(registry, id);
  if (connection.ok()) return connection.take();
  return Failure{ECode::kSocket, std::move(connection).error(), action, {"connect to the enclave process"}};
}

std::optional<runtime::Ended> find_selected_ended(const runtime::Registry& registry, const EnclaveSelector& selector) {
  Result<std::optional<runtime::Ended>> found = runtime::find_ended(registry.paths(), selector.id, selector.name);
  return found ? found.take() : std::nullopt;
}

}  // namespace casemate::cli::nitro
