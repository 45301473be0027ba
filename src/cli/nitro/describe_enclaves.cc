// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/describe_enclaves.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/nitro/errors.h"
#include "runtime/client.h"

namespace casemate::cli::nitro {
namespace {

const std::string kDescribeAction = "Describe Enclaves";

int run(bool metadata) {
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return report({ECode::kReadFromDisk, registry.error(), kDescribeAction, {}});
  const Result<runtime::Listing> listing =
      runtime::list_enclaves(*registry, metadata ? runtime::Metadata::kYes : runtime::Metadata::kNo);
  if (!listing) return report({ECode::kReadFromDisk, listing.error(), kDescribeAction, {"list the enclaves"}});
  if (listing->failed > 0) fmt::print(stderr, "Failed connections: {}\n", listing->failed);
  fmt::print("{}\n", descriptions(listing->enclaves));
  if (listing->failed > 0)
    return report({ECode::kProcessConnection, unavailable("{} enclave processes did not answer", listing->failed), kDescribeAction, {}});
  return 0;
}

}  // namespace

std::string descriptions(const std::vector<runtime::EnclaveInfo>& enclaves) {
  json::Array list;
  for (const runtime::EnclaveInfo& info : enclaves) list.emplace_back(runtime::describe_json(info));
  return json::encode_pretty(list);
}

void add_describe_enclaves(CLI::App& app, int& exit_code) {
  auto metadata = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("describe-enclaves", "Lists the running enclaves");
  verb->add_flag("--metadata", *metadata, "Add the images' metadata");
  verb->callback([metadata, &exit_code] { exit_code = run(*metadata); });
}

}  // namespace casemate::cli::nitro
