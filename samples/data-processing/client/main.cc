// SPDX-License-Identifier: Apache-2.0
// data-processing-client: runs on the parent instance.
#include <cstdio>

#include "client.h"

int main(int count, char** arguments) {
  using namespace data_processing;
  const auto options = parse_client_arguments({arguments + 1, static_cast<std::size_t>(count - 1)});
  if (!options) {
    std::fprintf(stderr, "data-processing-client: %s (see --help)\n", options.error().message().c_str());
    return 2;
  }
  if (auto done = run(*options); !done) {
    std::fprintf(stderr, "data-processing-client: %s\n", done.error().message().c_str());
    return 1;
  }
  return 0;
}
