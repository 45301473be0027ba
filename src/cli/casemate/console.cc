// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/console.h"

#include <sys/types.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/casemate/platform.h"
#include "json/value.h"
#include "sdk/src/http_client.h"
#include "sdk/src/tls.h"
#include "sigv4/sigv4.h"

namespace casemate::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};

// open_browser hands the URL to the desktop. It is in that program's arguments, which other users may read: what they
// could do with it, they would have to do before the browser does, and the browser would then say so.
bool open_browser(const std::string& url) {
  if (std::getenv("DISPLAY") == nullptr && std::getenv("WAYLAND_DISPLAY") == nullptr) return false;
  const auto opened = os::run({"xdg-open", url}, kPatience);
  return opened.ok() && opened->status == 0;
}

Result<void> run_console(bool print_url) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const std::string url = TRY(console_url(paths));
  if (print_url) {
    std::printf("%s\n", url.c_str());
    return {};
  }
  const bool opened = open_browser(url);
  if (opened) {
    std::printf("The console is open in your browser.\n");
  } else {
    std::printf("Open this link within two minutes; it signs in once:\n\n  %s\n", url.c_str());
  }
  std::printf("\nThe browser does not know the platform's certificate authority. Import %s, or accept the warning once.\n",
              paths.ca_certificate().c_str());
  return {};
}

}  // namespace

Result<std::string> console_url(const os::Paths& paths) {
  auto endpoints = read_endpoints(paths);
  if (!endpoints.ok()) return unavailable("the platform is not up: run casemate up");
  const sdk::Url url = TRY(sdk::parse_url(endpoints->kms));
  const os::Platform platform = TRY(os::load_platform(paths));
  const AccessKeyText key = TRY(read_access_key(paths, "admin"));
  http::Request request;
  request.method = "POST";
  request.target = "/console/api/links";
  request.headers.add("Host", url.authority());
  request.headers.add("Content-Type", "application/json");
  request.body = "{}";
  request.headers.add("Content-Length", std::to_string(request.body.size()));
  TRY(sigv4::sign(request, sigv4::Credentials::of(key.id, key.secret), platform.region, "casemate",
                  SystemClock().now()));

  const sdk::Deadline deadline(kPatience);
  const auto trust = TRY(sdk::TlsContext::create(paths.ca_certificate().native()));
  const auto stream = TRY(trust->connect(TRY(sdk::connect_tcp(url.host, url.port, deadline)), url.host, deadline));
  sdk::Answered answered{};
  const sdk::Exchange exchange = TRY(sdk::exchange(*stream, request, deadline, answered));
  const auto body = json::parse(exchange.response.body);
  if (!body.ok()) return unavailable("casemated does not serve the console (answer {})", exchange.response.status);
  if (const json::Value* error = body->find("error"); error != nullptr) {
    const std::string* message = error->string_at("message");
    return denied("{}", message == nullptr ? std::string("no link was given") : *message);
  }
  const std::string* token = body->string_at("token");
  if (token == nullptr) return malformed("answer: token: missing");
  return fmt::format("{}/console/#token={}", endpoints->kms, *token);
}

void add_console(CLI::App& app, int& exit_code) {
  const auto print_url = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("console", "Open the web console, signed in by a one-time link");
  verb->add_flag("--print-url", *print_url, "Only print the link");
  verb->callback([print_url, &exit_code] {
    const auto done = run_console(*print_url);
    if (done.ok()) return;
    std::fprintf(stderr, "casemate console: %s\n", done.error().message().c_str());
    exit_code = 1;
  });
}

}  // namespace casemate::cli
