// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>

#include "sdk/kms-proxy/run.h"

int main(int count, char** arguments) {
  using namespace casemate;
  const auto environment = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const auto parsed = kms_proxy::parse_options({arguments + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)}, environment);
  if (const auto* exit = std::get_if<kms_proxy::Exit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->status == 0 ? stdout : stderr);
    return exit->status;
  }
  const auto status = kms_proxy::run(std::get<kms_proxy::Options>(parsed));
  if (status) return *status;
  std::fprintf(stderr, "casemate-kms-proxy: %s\n", status.error().message().c_str());
  return 1;
}
