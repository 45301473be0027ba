// SPDX-License-Identifier: Apache-2.0
#include "cli/nitro/terminate_enclave.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/nitro/select.h"

namespace casemate::cli::nitro {
namespace {

const std::string kTerminateAction = "Terminate Enclave";
const std::string kStatsAction = "Enclave Statistics";
const std::string kWaitAction = "Wait for Enclave";

struct TerminateOptions {
  EnclaveSelector selector;
  bool all = false;
};

void print(const runtime::Terminated& terminated) {
  fmt::print(stderr, "Successfully terminated enclave {}.\n", terminated.id);
  const json::Object shown{{"EnclaveName", terminated.name}, {"EnclaveID", terminated.id}, {"Terminated", true}};
  fmt::print("{}\n", json::encode_pretty(shown));
  std::fflush(stdout);
}

Failure failure(Error error) {
  const ECode code = error.code() == ErrorCode::kUnavailable ? ECode::kProcessConnection : ECode::kCommandNotExecuted;
  return {code, std::move(error), kTerminateAction, {"ask the enclave process to terminate"}};
}

int terminate_one(runtime::Registry& registry, const EnclaveSelector& selector) {
  auto selected = connect_selected(registry, selector, kTerminateAction);
  if (const auto* wrong = std::get_if<Failure>(&selected)) return report(*wrong);
  Result<runtime::Terminated> terminated = runtime::terminate_enclave(std::move(std::get<runtime::Connection>(selected)));
  if (!terminated) return report(failure(std::move(terminated).error()));
  print(*terminated);
  return 0;
}

// Enclaves of the current user; of everybody for root.
bool is_ours(const os::Path& socket) {
  struct stat status {};
  return ::geteuid() == 0 || (::lstat(socket.c_str(), &status) == 0 && status.st_uid == ::geteuid());
}

int terminate_every(runtime::Registry& registry) {
  const Result<std::vector<os::Path>> sockets = registry.sockets();
  if (!sockets) return report({ECode::kReadFromDisk, sockets.error(), kTerminateAction, {"list the enclaves"}});
  int exit_code = 0;
  for (const os::Path& socket : *sockets) {
    if (!is_ours(socket)) continue;
    Result<UniqueFd> fd = runtime::connect_unix(socket);
    if (!fd) continue;
    Result<runtime::Terminated> terminated = runtime::terminate_enclave(runtime::Connection(fd.take()));
    if (terminated.ok()) print(*terminated);
    else exit_code = report(failure(std::move(terminated).error()));
  }
  (void)registry.purge();
  return exit_code;
}

int run(const TerminateOptions& options) {
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return report({ECode::kReadFromDisk, registry.error(), kTerminateAction, {}});
  return options.all ? terminate_every(*registry) : terminate_one(*registry, options.selector);
}

int exit_status(const runtime::Ended& ended) { return ended.exit.signalled ? 128 + ended.exit.status : ended.exit.status; }

int run_wait(const EnclaveSelector& selector) {
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return report({ECode::kReadFromDisk, registry.error(), kWaitAction, {}});
  auto selected = connect_selected(*registry, selector, kWaitAction);
  if (const auto* wrong = std::get_if<Failure>(&selected)) {
    const auto ended = find_selected_ended(*registry, selector);
    return ended ? exit_status(*ended) : report(*wrong);
  }
  const Result<json::Value> reply = runtime::ask(std::get<runtime::Connection>(selected), json::Object{{"command", "wait"}},
                                                 std::chrono::hours(24 * 365));
  if (!reply) {
    // It ended before it took the connection; its end is noted before it stops listening.
    const auto ended = find_selected_ended(*registry, selector);
    return ended ? exit_status(*ended) : report({ECode::kProcessConnection, reply.error(), kWaitAction, {"wait for the end"}});
  }
  const std::int64_t* status = reply->int_at("status");
  const json::Value* signalled = reply->find("signalled");
  if (status == nullptr || signalled == nullptr)
    return report({ECode::kSerde, malformed("reply: want signalled and status"), kWaitAction, {}});
  return *signalled == json::Value(true) ? 128 + static_cast<int>(*status) : static_cast<int>(*status);
}

int run_stats(const EnclaveSelector& selector) {
  Result<runtime::Registry> registry = runtime::Registry::from_environment();
  if (!registry) return report({ECode::kReadFromDisk, registry.error(), kStatsAction, {}});
  auto selected = connect_selected(*registry, selector, kStatsAction);
  if (const auto* wrong = std::get_if<Failure>(&selected)) return report(*wrong);
  const Result<json::Value> reply =
      runtime::ask(std::get<runtime::Connection>(selected), json::Object{{"command", "stats"}}, runtime::kReplyPatience);
  if (!reply) return report({ECode::kProcessConnection, reply.error(), kStatsAction, {"ask for the figures"}});
  fmt::print("{}\n", json::encode_pretty(*reply));
  return 0;
}

}  // namespace

void add_terminate_enclave(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<TerminateOptions>();
  CLI::App* verb = app.add_subcommand("terminate-enclave", "Terminates an enclave");
  const SelectorOptions selector = add_selector(*verb, options->selector);
  CLI::Option* all = verb->add_flag("--all", options->all, "Terminate every enclave of the current user")
                         ->excludes(selector.id)
                         ->excludes(selector.name);
  verb->callback([=, &exit_code] {
    if (all->count() == 0) require_selector(selector);
    exit_code = run(*options);
  });
}

void add_wait(CLI::App& app, int& exit_code) {
  auto selector = std::make_shared<EnclaveSelector>();
  CLI::App* verb = app.add_subcommand("wait", "Waits for an enclave's end; exits as its application did (not in AWS's tool)");
  const SelectorOptions options = add_selector_with_bare_id(*verb, *selector);
  verb->callback([=, &exit_code] {
    require_selector(options);
    exit_code = run_wait(*selector);
  });
}

void add_stats(CLI::App& app, int& exit_code) {
  auto selector = std::make_shared<EnclaveSelector>();
  CLI::App* verb = app.add_subcommand("stats", "Prints what a running enclave uses (not in AWS's tool)");
  const SelectorOptions options = add_selector_with_bare_id(*verb, *selector);
  verb->callback([=, &exit_code] {
    require_selector(options);
    exit_code = run_stats(*selector);
  });
}

}  // namespace casemate::cli::nitro
