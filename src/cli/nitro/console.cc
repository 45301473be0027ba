// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/console.h"

#include <unistd.h>

#include <charconv>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/nitro/select.h"

namespace casemate::cli::nitro {
namespace {

const std::string kConsoleAction = "Enclave Console";
using Steady = std::chrono::steady_clock;

struct ConsoleOptions {
  EnclaveSelector selector;
  std::string disconnect_timeout;
  bool follow = false;
};

int copy(runtime::Connection& connection, std::optional<std::chrono::milliseconds> timeout) {
  const auto deadline = Steady::now() + timeout.value_or(std::chrono::milliseconds(0));
  for (;;) {
    std::optional<std::chrono::milliseconds> left;
    if (timeout) left = std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()), std::chrono::milliseconds(0));
    const Result<Bytes> data = connection.read_raw(left);
    if (!data) {
      if (data.error().code() == ErrorCode::kUnavailable) return 0;
      return report({ECode::kConsoleRead, data.error(), kConsoleAction, {"read the console"}});
    }
    if (data->empty()) return 0;
    if (const Result<void> written = os::write_all(STDOUT_FILENO, *data); !written)
      return report({ECode::kConsoleWrite, written.error(), kConsoleAction, {"write to standard output"}});
    if (timeout && Steady::now() >= deadline) return 0;
  }
}

struct Granted {
  runtime::Connection connection;
  std::uint32_t cid;
};

std::variant<Granted, Failure> open_console(const EnclaveSelector& selector, bool follow) {
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return Failure{ECode::kReadFromDisk, registry.error(), kConsoleAction, {}};
  auto selected = connect_selected(*registry, selector, kConsoleAction);
  if (auto* failure = std::get_if<Failure>(&selected)) return std::move(*failure);
  auto& connection = std::get<runtime::Connection>(selected);
  const Result<json::Value> reply =
      runtime::ask(connection, json::Object{{"command", "console"}, {"follow", follow}}, runtime::kReplyPatience);
  if (!reply) return Failure{ECode::kConsoleConnection, reply.error(), kConsoleAction, {"ask for the console"}};
  const std::int64_t* cid = reply->int_at("EnclaveCID");
  if (cid == nullptr) return Failure{ECode::kInteger, malformed("reply: EnclaveCID missing"), kConsoleAction, {}};
  return Granted{std::move(connection), static_cast<std::uint32_t>(*cid)};
}

int run_console(const ConsoleOptions& options) {
  std::optional<std::chrono::milliseconds> timeout;
  if (!options.disconnect_timeout.empty()) {
    const std::string& text = options.disconnect_timeout;
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size())
      return report({ECode::kInvalidArgument, malformed("disconnect-timeout: `{}`, want a number of seconds", text), kConsoleAction, {}});
    timeout = std::chrono::seconds(seconds);
  }
  auto opened = open_console(options.selector, true);
  if (const auto* failure = std::get_if<Failure>(&opened)) return report(*failure);
  auto& granted = std::get<Granted>(opened);
  return follow_console(granted.connection, granted.cid, timeout);
}

int print_ended(const runtime::Registry& registry, const runtime::Ended& ended) {
  const Result<std::string> text = runtime::read_ended_console(registry.paths(), ended);
  if (!text) return report({ECode::kConsoleConnection, text.error(), kConsoleAction, {"read what was kept of the console"}});
  if (const Result<void> written = os::write_all(STDOUT_FILENO, as_bytes(*text)); !written)
    return report({ECode::kConsoleWrite, written.error(), kConsoleAction, {"write to standard output"}});
  return 0;
}

int run_logs(const ConsoleOptions& options) {
  auto opened = open_console(options.selector, options.follow);
  if (const auto* failure = std::get_if<Failure>(&opened)) {
    const Result<runtime::Registry> registry = runtime::Registry::from_environment();
    const auto ended = registry ? find_selected_ended(*registry, options.selector) : std::nullopt;
    return ended ? print_ended(*registry, *ended) : report(*failure);
  }
  return copy(std::get<Granted>(opened).connection, std::nullopt);
}

}  // namespace

int follow_console(runtime::Connection& connection, std::uint32_t cid, std::optional<std::chrono::milliseconds> timeout) {
  fmt::print("Connecting to the console for enclave {}...\nSuccessfully connected to the console.\n", cid);
  std::fflush(stdout);
  return copy(connection, timeout);
}

void add_console(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ConsoleOptions>();
  CLI::App* verb = app.add_subcommand("console", "Connects to the console of an enclave that runs in debug mode");
  const SelectorOptions selector = add_selector(*verb, options->selector);
  verb->add_option("--disconnect-timeout", options->disconnect_timeout, "Seconds after which to disconnect")->type_name("SECONDS");
  verb->callback([=, &exit_code] {
    require_selector(selector);
    exit_code = run_console(*options);
  });
}

void add_logs(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ConsoleOptions>();
  CLI::App* verb = app.add_subcommand("logs", "Prints the console of an enclave that runs in debug mode (not in AWS's tool)");
  const SelectorOptions selector = add_selector_with_bare_id(*verb, options->selector);
  verb->add_flag("-f,--follow", options->follow, "Go on until the enclave ends");
  verb->callback([=, &exit_code] {
    require_selector(selector);
    exit_code = run_logs(*options);
  });
}

}  // namespace casemate::cli::nitro
