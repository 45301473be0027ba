// SPDX-License-Identifier: Apache-2.0
#include "cli/casemate/platform.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/encoding.h"
#include "crypto/rng.h"
#include "json/value.h"
#include "runtime/client.h"
#include "runtime/registry.h"
#include "runtime/sandbox/sandbox.h"

namespace casemate::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kStartPatience{20'000};
constexpr milliseconds kStopPatience{5'000};

Result<os::Path> sibling_program(std::string_view name) {
  const os::Path path = TRY(os::executable_path()).parent_path() / name;
  if (::access(path.c_str(), X_OK) != 0) return errno_error(path.native());
  return path;
}

// no_reason stands for the last line of a log that has none, which on a full disk is all that is left to see.
std::string no_reason(const os::Path& log) {
  std::error_code error;
  const auto space = std::filesystem::space(log.parent_path(), error);
  if (!error && space.available == 0) return fmt::format("no space left on the file system of {}", log.parent_path().native());
  return fmt::format("no reason given in {}", log.native());
}

// last_line is what a program that would not start said last.
std::string last_line(const os::Path& log) {
  const auto text = os::read_file(log, 1024 * 1024);
  if (!text.ok()) return no_reason(log);
  std::string_view rest = *text;
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  const auto start = rest.rfind('\n');
  const auto line = rest.substr(start == std::string_view::npos ? 0 : start + 1);
  return line.empty() ? no_reason(log) : std::string(line);
}

Result<void> prepare_platform(const os::Paths& paths, const UpOptions& options) {
  if (std::filesystem::exists(paths.platform())) return {};
  os::Platform platform = options.platform;
  if (platform.instance_id.empty()) {
    std::array<std::uint8_t, 9> random{};
    crypto::SystemRng().fill(random);
    platform.instance_id = "i-" + encode_hex(random).substr(0, 17);
  }
  return os::save_platform(paths, platform);
}

Result<os::ProcessId> start_casemated(const os::Paths& paths, const UpOptions& options, const os::Path& log) {
  const UniqueFd log_fd = TRY(os::open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  os::SpawnOptions spawn;
  spawn.arguments = {TRY(sibling_program("casemated")).native(), "--listen", options.listen, "--imds", options.imds, "--trust", "aws,local"};
  if (!options.accounts.empty()) {
    spawn.arguments.emplace_back("--accounts");
    spawn.arguments.push_back(std::filesystem::absolute(options.accounts).native());
  }
  spawn.extra_environment = {"CASEMATE_HOME=" + paths.home.native(), "CASEMATE_RUN_DIR=" + paths.run.native()};
  spawn.new_session = true;
  spawn.stdout_fd = log_fd.get();
  spawn.stderr_fd = log_fd.get();
  return os::spawn(spawn);
}

Result<Endpoints> await_casemated(const os::Paths& paths, const os::ProcessId& child, const os::Path& log) {
  const auto deadline = steady_clock::now() + kStartPatience;
  while (steady_clock::now() < deadline) {
    auto endpoints = read_endpoints(paths);
    const auto pid = os::read_pid_file(paths.casemated_pid());
    if (endpoints.ok() && pid.ok() && pid->pid == child.pid) return endpoints;
    ::waitpid(child.pid, nullptr, WNOHANG);
    if (!os::alive(child)) return unavailable("casemated did not start: {}", last_line(log));
    std::this_thread::sleep_for(milliseconds(10));
  }
  TRY(os::end(child, kStopPatience));
  return unavailable("casemated did not start within {} s: see {}", kStartPatience.count() / 1000, log.native());
}

std::optional<os::ProcessId> running_casemated(const os::Paths& paths) {
  const auto id = os::read_pid_file(paths.casemated_pid());
  if (id.ok() && os::alive(*id)) return *id;
  return std::nullopt;
}

std::vector<os::ProcessId> running_proxies(const os::Paths& paths) {
  std::vector<os::ProcessId> proxies;
  const auto names = os::list(paths.proxies());
  if (!names.ok()) return proxies;
  for (const std::string& name : *names) {
    const auto id = os::read_pid_file(paths.proxies() / name);
    if (id.ok() && os::alive(*id)) proxies.push_back(*id);
  }
  return proxies;
}

void print_error(std::string_view verb, const Error& error) {
  std::fprintf(stderr, "casemate %.*s: %s\n", static_cast<int>(verb.size()), verb.data(), error.message().c_str());
}

int finish(std::string_view verb, const Result<void>& result) {
  if (result.ok()) return 0;
  print_error(verb, result.error());
  return 1;
}

Result<void> run_up(const UpOptions& options) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const Endpoints endpoints = TRY(bring_up(paths, options));
  std::printf("KMS, STS, IAM  %s\nIMDS           %s\nState          %s\n\nNext: eval \"$(casemate env)\", or casemate console for the web page\n", endpoints.kms.c_str(),
              endpoints.imds.c_str(), paths.home.c_str());
  return {};
}

Result<void> run_status(bool as_json) {
  const os::Paths paths = TRY(os::paths_from_environment());
  const Status status = TRY(platform_status(paths));
  if (as_json) {
    json::Array enclaves;
    for (const auto& id : status.enclaves) enclaves.emplace_back(id);
    json::Array proxies;
    for (const pid_t pid : status.proxies) proxies.emplace_back(std::int64_t{pid});
    const json::Value value = json::Object{{"home", paths.home.native()},
                                           {"run", paths.run.native()},
                                           {"casemated", status.casemated ? json::Value(std::int64_t{status.casemated->pid}) : json::Value()},
                                           {"kms", status.endpoints ? json::Value(status.endpoints->kms) : json::Value()},
                                           {"imds", status.endpoints ? json::Value(status.endpoints->imds) : json::Value()},
                                           {"enclaves", std::move(enclaves)},
                                           {"proxies", std::move(proxies)}};
    std::printf("%s\n", json::encode_pretty(value).c_str());
    return {};
  }
  if (status.casemated && status.endpoints) {
    std::printf("casemated    running, pid %d, KMS, STS and IAM at %s, IMDS at %s\n", static_cast<int>(status.casemated->pid),
                status.endpoints->kms.c_str(), status.endpoints->imds.c_str());
  } else {
    std::printf("casemated    not running\n");
  }
  std::printf("enclaves     %zu running\n", status.enclaves.size());
  for (const auto& id : status.enclaves) std::printf("             %s\n", id.c_str());
  std::printf("vsock-proxy  %zu running\nstate        %s\nrun files    %s\n", status.proxies.size(), paths.home.c_str(), paths.run.c_str());
  return {};
}

Result<void> run_env(const Identity& identity) {
  const os::Paths paths = TRY(os::paths_from_environment());
  std::printf("%s", TRY(environment(paths, identity, installed_aws_cli())).c_str());
  return {};
}

}  // namespace

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

Result<Endpoints> read_endpoints(const os::Paths& paths) {
  const json::Value value = TRY(json::parse(TRY(os::read_file(paths.endpoints(), 65536))).in(paths.endpoints().native()));
  const std::string* kms = value.string_at("kms");
  const std::string* imds = value.string_at("imds");
  if (kms == nullptr) return malformed("{}: kms: missing, want a string", paths.endpoints().native());
  return Endpoints{*kms, imds == nullptr ? std::string{} : *imds};
}

Result<AccessKeyText> read_access_key(const os::Paths& paths, std::string_view section) {
  const Secret file = TRY(os::read_secret_file(paths.credentials(), 65536));
  AccessKeyText key;
  bool in_section = false;
  std::string_view rest = as_text(file.expose());
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.starts_with('[')) in_section = line == fmt::format("[{}]", section);
    const auto equals = line.find('=');
    if (!in_section || equals == std::string_view::npos) continue;
    const auto trim = [](std::string_view text) {
      while (text.starts_with(' ')) text.remove_prefix(1);
      while (text.ends_with(' ')) text.remove_suffix(1);
      return text;
    };
    const std::string_view name = trim(line.substr(0, equals));
    if (name == "aws_access_key_id") key.id = trim(line.substr(equals + 1));
    if (name == "aws_secret_access_key") key.secret = trim(line.substr(equals + 1));
  }
  if (key.id.empty() || key.secret.empty()) return not_found("{}: no key in section [{}]", paths.credentials().native(), section);
  return key;
}

Result<Endpoints> bring_up(const os::Paths& paths, const UpOptions& options) {
  TRY(os::make_private_directories(paths.home));
  TRY(os::make_private_directories(paths.run));
  const auto lock = TRY(os::FileLock::acquire(paths.run / "up.lock", kStartPatience));
  if (running_casemated(paths)) return read_endpoints(paths);
  TRY(os::remove(paths.endpoints()));
  TRY(os::remove(paths.casemated_pid()));
  TRY(prepare_platform(paths, options));
  // The parent's programs know a local platform by this folder.
  TRY(os::make_private_directories(paths.fabric()));
  const os::Path log = paths.run / "casemated.log";
  const os::ProcessId child = TRY(start_casemated(paths, options, log));
  return await_casemated(paths, child, log);
}

Result<void> bring_down(const os::Paths& paths) {
  if (!std::filesystem::exists(paths.run)) return {};
  const auto lock = TRY(os::FileLock::acquire(paths.run / "up.lock", kStartPatience));
  // Everything is tried; the first failure is reported.
  Result<void> first;
  const auto note = [&first](Result<void> result) {
    if (first.ok() && !result.ok()) first = std::move(result);
  };
  if (const auto ended = runtime::terminate_all(paths.run); !ended.ok()) note(ended.error());
  runtime::sandbox::remove_leftovers();
  for (const auto& proxy : running_proxies(paths)) note(os::end(proxy, kStopPatience));
  if (const auto casemated = running_casemated(paths)) note(os::end(*casemated, kStopPatience));
  std::error_code ignored;
  std::filesystem::remove_all(paths.proxies(), ignored);
  std::filesystem::remove_all(paths.fabric(), ignored);
  note(os::remove(paths.casemated_pid()));
  note(os::remove(paths.endpoints()));
  return first;
}

Result<Status> platform_status(const os::Paths& paths) {
  Status status;
  status.paths = paths;
  status.casemated = running_casemated(paths);
  if (status.casemated) status.endpoints = TRY(read_endpoints(paths));
  for (const auto& entry : TRY(runtime::Registry(paths, {}).entries())) {
    if (os::alive(entry.supervisor)) status.enclaves.push_back(entry.id);
  }
  for (const auto& proxy : running_proxies(paths)) status.proxies.push_back(proxy.pid);
  return status;
}

AwsCli installed_aws_cli() {
  const auto output = os::run({"aws", "--version"}, milliseconds(20'000));
  if (!output.ok() || output->status != 0) return AwsCli::kAbsent;
  // AWS CLI 1.29 and 2.13 read AWS_ENDPOINT_URL_<SERVICE>.
  const std::string text = output->out + output->err;
  const auto slash = text.find("aws-cli/");
  if (slash == std::string::npos) return AwsCli::kNeedsFunction;
  int major = 0;
  int minor = 0;
  const char* end = text.data() + text.size();
  const auto after = std::from_chars(text.data() + slash + 8, end, major);
  if (after.ptr == end || *after.ptr != '.') return AwsCli::kNeedsFunction;
  std::from_chars(after.ptr + 1, end, minor);
  const bool knows = major > 2 || (major == 2 && minor >= 13) || (major == 1 && minor >= 29);
  return knows ? AwsCli::kKnowsEndpointVariables : AwsCli::kNeedsFunction;
}

Result<std::string> environment(const os::Paths& paths, const Identity& identity, AwsCli cli) {
  if (!running_casemated(paths)) return unavailable("the platform is not up: run casemate up");
  const Endpoints endpoints = TRY(read_endpoints(paths));
  const os::Platform platform = TRY(os::load_platform(paths));
  const std::string authority = endpoints.kms.substr(endpoints.kms.find("://") + 3);
  const std::string port = authority.substr(authority.rfind(':') + 1);
  std::string out;
  const auto set = [&out](std::string_view name, std::string_view value) { out += fmt::format("export {}={}\n", name, shell_quoted(value)); };
  set("CASEMATE_HOME", paths.home.native());
  set("CASEMATE_RUN_DIR", paths.run.native());
  set("AWS_ENDPOINT_URL_KMS", endpoints.kms);
  set("AWS_ENDPOINT_URL_STS", endpoints.kms);
  set("AWS_ENDPOINT_URL_IAM", endpoints.kms);
  set("AWS_CA_BUNDLE", paths.ca_certificate().native());
  set("NODE_EXTRA_CA_CERTS", paths.ca_certificate().native());
  // AWS CLI 2.9 appends its path without a slash of its own.
  set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoints.imds + "/");
  set("AWS_REGION", platform.region);
  set("AWS_DEFAULT_REGION", platform.region);
  set("VSOCK_PROXY_RESOLVE", fmt::format("kms.{}.amazonaws.com:443:127.0.0.1:{}", platform.region, port));
  set("AWS_PAGER", "");
  // Profiles of a real account must neither be used nor reached by mistake.
  set("AWS_CONFIG_FILE", "/dev/null");
  set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
  out += "unset AWS_PROFILE AWS_SESSION_TOKEN AWS_EC2_METADATA_DISABLED\n";
  if (!identity.section.empty()) {
    const AccessKeyText key = TRY(read_access_key(paths, identity.section));
    set("AWS_ACCESS_KEY_ID", key.id);
    set("AWS_SECRET_ACCESS_KEY", key.secret);
  } else {
    out += "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n";
  }
  const std::string bin = TRY(os::executable_path()).parent_path().native();
  out += fmt::format("case \":$PATH:\" in *:{0}:*) ;; *) export PATH={0}:\"$PATH\" ;; esac\n", shell_quoted(bin));
  out += cli == AwsCli::kNeedsFunction ? "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL_KMS\" \"$@\"; }\n" : "unset -f aws\n";
  return out;
}

void add_up(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<UpOptions>();
  CLI::App* verb = app.add_subcommand("up", "Start KMS, STS, IAM and IMDS on loopback with a fresh account, or the one that was there");
  verb->add_option("--listen", options->listen, "Address and port of KMS, STS and IAM (HTTPS); port 0 takes any free one")->capture_default_str();
  verb->add_option("--imds", options->imds, "Address and port of the instance metadata service")->capture_default_str();
  verb->add_option("--account", options->platform.account, "Account id of a new platform")->capture_default_str();
  verb->add_option("--region", options->platform.region, "Region of a new platform")->capture_default_str();
  verb->add_option("--role-arn", options->platform.role_arn, "Role of the parent instance of a new platform (PCR3)")->capture_default_str();
  verb->add_option("--instance-id", options->platform.instance_id, "Instance id of a new platform (PCR4); random if not given");
  verb->add_option("--accounts", options->accounts, "File that declares further accounts, their users and roles (JSON)")
      ->check(CLI::ExistingFile);
  verb->callback([options, &exit_code] { exit_code = finish("up", run_up(*options)); });
}

void add_down(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("down", "End every enclave, proxy and service of this platform; keys stay");
  verb->callback([&exit_code] {
    const auto paths = os::paths_from_environment();
    exit_code = finish("down", paths.ok() ? bring_down(*paths) : Result<void>(paths.error()));
  });
}

void add_status(CLI::App& app, int& exit_code) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("status", "What runs, and where its state is");
  verb->add_flag("--json", *as_json, "Print JSON");
  verb->callback([as_json, &exit_code] { exit_code = finish("status", run_status(*as_json)); });
}

void add_env(CLI::App& app, int& exit_code) {
  auto admin = std::make_shared<bool>(false);
  auto identity = std::make_shared<Identity>();
  CLI::App* verb = app.add_subcommand("env", "Shell settings for AWS's command line and SDKs: eval \"$(casemate env)\"");
  CLI::Option* flag =
      verb->add_flag("--admin", *admin, "Be the account's administrator instead of the parent instance's role");
  verb->add_option("--as", identity->section, "Be a user of a declared account: ACCOUNT-USER, as in the credentials file")
      ->excludes(flag);
  verb->callback([admin, identity, &exit_code] {
    if (*admin) identity->section = kAdministratorSection;
    exit_code = finish("env", run_env(*identity));
  });
}

}  // namespace casemate::cli
