// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "kmstool.h"

int main(int count, char** arguments) {
  using namespace casemate;
  const auto environment = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const auto parsed = kmstool::parse_arguments({arguments + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)}, environment);
  if (const auto* usage = std::get_if<kmstool::Usage>(&parsed)) {
    std::fputs(usage->text.c_str(), stderr);
    return 1;
  }
  const kmstool::Options& options = std::get<kmstool::Options>(parsed);
  const auto client = kmstool::make_client(options);
  auto output = client ? kmstool::run(options, *client) : Result<Secret>(client.error());
  if (!output) {
    std::fprintf(stderr, "%s\n", output.error().message().c_str());
    return 1;
  }
  ByteView rest = output->expose();
  while (!rest.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written <= 0) return 1;
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}
