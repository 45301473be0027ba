// SPDX-License-Identifier: Apache-2.0
// The verbs that bring the local platform up and down: up, down, status, env.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/paths.h"
#include "os/process.h"

namespace CLI {
class App;
}

namespace casemate::cli {

void add_up(CLI::App& app, int& exit_code);
void add_down(CLI::App& app, int& exit_code);
void add_status(CLI::App& app, int& exit_code);
void add_env(CLI::App& app, int& exit_code);

struct UpOptions {
  std::string listen = "127.0.0.1:4443";
  std::string imds = "127.0.0.1:4169";
  std::string accounts;  // path of a declaration of further accounts; empty: none
  os::Platform platform{"111122223333", "us-east-1", "arn:aws:iam::111122223333:role/casemate-parent", {}};
};

struct Endpoints {
  std::string kms;   // https://localhost:4443, STS too
  std::string imds;  // http://127.0.0.1:4169
};

struct Status {
  os::Paths paths;
  std::optional<os::ProcessId> casemated;
  std::optional<Endpoints> endpoints;
  std::vector<std::string> enclaves;
  std::vector<pid_t> proxies;
};

// bring_up starts casemated unless it runs already and returns where it serves. Nothing is left running on failure.
Result<Endpoints> bring_up(const os::Paths& paths, const UpOptions& options);

// bring_down ends every enclave, proxy and service of this platform and removes its run files; keys stay. It also
// clears what killed processes left behind.
Result<void> bring_down(const os::Paths& paths);

Result<Status> platform_status(const os::Paths& paths);

// Identity is whose credentials an environment has: a section of the credentials file, or, when it is empty, those that
// the metadata service gives to the parent instance.
struct Identity {
  std::string section;
};
inline constexpr std::string_view kAdministratorSection = "admin";
enum class AwsCli { kKnowsEndpointVariables, kNeedsFunction, kAbsent };

// environment gives the shell text of `casemate env`: exports, and a function `aws` where the installed CLI predates
// AWS_ENDPOINT_URL.
Result<std::string> environment(const os::Paths& paths, const Identity& identity, AwsCli cli);

// read_access_key reads a section of CASEMATE_HOME/credentials: `admin`, or `ACCOUNT-USER` of a declared account.
struct AccessKeyText {
  std::string id;
  std::string secret;
};
Result<AccessKeyText> read_access_key(const os::Paths& paths, std::string_view section);

Result<Endpoints> read_endpoints(const os::Paths& paths);
AwsCli installed_aws_cli();

// shell_quoted gives a word that a POSIX shell reads as exactly `text`.
std::string shell_quoted(std::string_view text);

}  // namespace casemate::cli
