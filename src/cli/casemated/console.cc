// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/console.h"

#include "cli/casemated/tls_identity.h"
#include "os/process.h"

namespace casemate::cli::casemated {
namespace {

constexpr std::chrono::seconds kSession{8 * 3600};
os::Path find_page(const Options& options) {
  if (!options.console.empty()) return options.console;
  const auto program = os::executable_path();
  if (!program.ok()) return {};
  const os::Path prefix = program->parent_path().parent_path();
  std::error_code ignored;
  const os::Path built = prefix / "web";
  return std::filesystem::exists(built / "manifest.json", ignored) ? built : prefix / "share" / "casemate" / "console";
}

std::optional<console::Assets> load_page(const Options& options, const Log& log) {
  auto assets = console::Assets::load(find_page(options));
  if (assets.ok()) {
    log.info("console", {{"files", std::to_string(assets->size())}, {"bytes", std::to_string(assets->bytes())}});
    return assets.take();
  }
  if (assets.error().code() == ErrorCode::kNotFound) {
    log.info("console.not-built", {{"build", "tools/build_console.sh"}, {"looked", assets.error().message()}});
  } else {
    log.error("console.unreadable", {{"error", assets.error().message()}});
  }
  return std::nullopt;
}

std::vector<std::string> host_names(const Options& options, const os::Platform& platform) {
  std::vector<std::string> hosts{"localhost", "127.0.0.1", "[::1]"};
  for (std::string& name : server_names(platform.region)) hosts.push_back(std::move(name));
  const std::string& listen = options.listen.host;
  hosts.push_back(listen.find(':') == std::string::npos ? listen : "[" + listen + "]");
  return hosts;
}

}  // namespace

std::unique_ptr<console::Service> make_console(const Options& options, const os::Paths& paths,
                                               const os::Platform& platform, attestation::TrustAnchors trust,
                                               ConsoleParts parts) {
  console::Options wanted;
  wanted.account = platform.account;
  wanted.region = platform.region;
  wanted.version = CASEMATE_VERSION;
  wanted.hosts = host_names(options, platform);
  wanted.paths = paths;
  wanted.trust = std::move(trust);
  console::Parts given{
      parts.directory, parts.clock, parts.rng, parts.log,
      [directory = &parts.directory, rng = &parts.rng, account = platform.account](
          std::string_view user, WallTime now) -> Result<console::Session> {
        const identity::EntityPtr found = directory->state()->find(account, identity::Kind::kUser, user);
        if (found == nullptr) return not_found("user {}", user);
        identity::SessionRequest session;
        session.lifetime = kSession;
        identity::SessionCredentials issued = directory->issue(*found, std::move(session), now, *rng);
        return console::Session{std::move(issued.access_key_id), std::move(issued.secret_access_key),
                                std::move(issued.session_token), issued.expires};
      },
      [audit = &parts.audit](const json::Object& event) { return audit->append(event); }};
  return std::make_unique<console::Service>(std::move(given), std::move(wanted), load_page(options, parts.log));
}

}  // namespace casemate::cli::casemated
