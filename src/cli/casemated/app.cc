// SPDX-License-Identifier: Apache-2.0
#include "cli/casemated/app.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "audit/files.h"
#include "audit/trail.h"
#include "cli/casemated/console.h"
#include "cli/casemated/home.h"
#include "cli/casemated/options.h"
#include "cli/casemated/tls_identity.h"
#include "crypto/rng.h"
#include "iam/api/service.h"
#include "imds/service.h"
#include "json/value.h"
#include "kms/api/service.h"
#include "kms/store/sqlite/sqlite_store.h"
#include "net/http_server.h"
#include "os/paths.h"
#include "os/process.h"
#include "pki/store.h"
#include "sts/service.h"

// Read by jemalloc: an arena for the loop and one for the pool, where it would make four a processor.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:2";

namespace casemate::cli::casemated {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kDefaultAccount = "111122223333";
constexpr std::string_view kDefaultRegion = "us-east-1";
constexpr std::string_view kDefaultInstance = "i-0123456789abcdef0";
constexpr milliseconds kDrainGrace{5'000};
// Calls that are read together share the writing of their events.
constexpr std::size_t kTurn = 32;
constexpr seconds kRoleSession{6 * 3600};

// Who is who on this platform: flags first, then platform.json, then the defaults.
Result<os::Platform> load_identity(const Options& options, const os::Paths& paths) {
  os::Platform platform;
  auto stored = os::load_platform(paths);
  if (stored.ok()) {
    platform = stored.take();
  } else if (stored.error().code() != ErrorCode::kNotFound) {
    return stored.error();
  }
  if (!options.account.empty()) platform.account = options.account;
  if (!options.region.empty()) platform.region = options.region;
  if (platform.account.empty()) platform.account = kDefaultAccount;
  if (platform.region.empty()) platform.region = kDefaultRegion;
  if (platform.instance_id.empty()) platform.instance_id = kDefaultInstance;
  if (platform.role_arn.empty() && !stored.ok())
    platform.role_arn = fmt::format("arn:aws:iam::{}:role/casemate-parent", platform.account);
  return platform;
}

std::string role_name(std::string_view role_arn) {
  return std::string(role_arn.substr(role_arn.rfind('/') + 1));
}

Result<attestation::TrustAnchors> load_trust(const Options& options, const os::Paths& paths,
                                             const os::Platform& platform, WallTime now, Rng& rng) {
  attestation::TrustAnchors anchors;
  for (const std::string& name : options.trust) {
    if (name == "local") {
      const auto made = pki::init(paths.pki(), {platform.region, platform.instance_id}, now, rng);
      if (!made.ok() && made.error().code() != ErrorCode::kConflict) return made.error();
      TRY(anchors.add_pem("local", TRY(pki::root_pem(paths.pki()))).in("--trust local"));
    } else if (name.find('/') != std::string::npos) {
      TRY(anchors.add_pem(name, TRY(os::read_file(name, 64 * 1024))).in(name));
    } else {
      TRY(anchors.add_builtin(name).in("--trust"));
    }
  }
  return anchors;
}

// RoleSessions keeps the instance's credentials and makes new ones when half of their life is over.
class RoleSessions {
 public:
  RoleSessions(const identity::Directory& directory, const os::Platform& platform, const Clock& clock, Rng& rng)
      : directory_(directory), platform_(platform), clock_(clock), rng_(rng) {}

  Result<imds::RoleCredentials> credentials() {
    const std::lock_guard lock(mutex_);
    const WallTime now = clock_.now();
    const identity::EntityPtr role = directory_.state()->find_role(platform_.role_arn);
    if (role == nullptr) return not_found("role {}", platform_.role_arn);
    const bool stale = !current_ || now >= current_->issued + kRoleSession / 2 || now < current_->issued;
    if (stale || role->id != role_id_) {
      identity::SessionRequest wanted;
      wanted.session_name = platform_.instance_id;
      wanted.lifetime = kRoleSession;
      current_ = directory_.issue(*role, std::move(wanted), now, rng_);
      role_id_ = role->id;
    }
    return imds::RoleCredentials{current_->access_key_id, std::string(as_text(current_->secret_access_key.expose())),
                                 current_->session_token, current_->issued, current_->expires};
  }

 private:
  const identity::Directory& directory_;
  const os::Platform& platform_;
  const Clock& clock_;
  Rng& rng_;
  std::mutex mutex_;
  std::optional<identity::SessionCredentials> current_;
  std::string role_id_;  // a role made anew under the old name is another
};

// RunFiles tell others that and where we serve, for as long as we do.
class RunFiles {
 public:
  static Result<std::unique_ptr<RunFiles>> write(const os::Paths& paths, const json::Object& endpoints) {
    std::unique_ptr<RunFiles> files(new RunFiles(paths));
    TRY(os::write_pid_file(paths.casemated_pid(), TRY(os::identify(::getpid()))));
    TRY(os::write_file(paths.endpoints(), as_bytes(json::encode_pretty(endpoints) + "\n"), 0600));
    return files;
  }
  ~RunFiles() {
    for (const os::Path& path : {paths_.endpoints(), paths_.casemated_pid()}) {
      if (const auto removed = os::remove(path); !removed.ok()) continue;
    }
  }

 private:
  explicit RunFiles(const os::Paths& paths) : paths_(paths) {}
  const os::Paths paths_;
};

// Cloud is everything that serves, in the order in which it must be made and unmade.
class Cloud {
 public:
  static Result<std::unique_ptr<Cloud>> create(const Options& options, const os::Paths& paths, const Clock& clock,
                                               Rng& rng, Log log) {
    auto root = TRY(load_root_key(paths.home, options.passphrase_file, rng));
    auto store = TRY(kms::store::sqlite::open_sqlite_store(paths.home / "kms.db", root.check_value()));
    auto audit = TRY(audit::Trail::open(paths.audit(), clock.now()));
    os::Platform platform = TRY(load_identity(options, paths));
    const identity::TokenSealer sealer(root.derive("session tokens"));
    identity::State identities = TRY(load_identities(paths, platform, options.accounts, sealer, clock.now(), rng));
    std::unique_ptr<Cloud> cloud(new Cloud(options, paths, std::move(platform), clock, rng, std::move(log), std::move(root),
                                           std::move(store), std::move(audit), std::move(identities)));
    kms::api::ServiceOptions kms_options;
    kms_options.regions = {cloud->platform_.region};
    for (const std::string& region : options.regions) {
      if (region != cloud->platform_.region) kms_options.regions.push_back(region);
    }
    cloud->regions_ = kms_options.regions;
    kms_options.quotas = options.quotas;
    kms_options.trust = TRY(load_trust(options, paths, cloud->platform_, clock.now(), rng));
    kms_options.document_age = seconds{options.document_age_seconds};
    kms_options.principal_exists = [directory = &cloud->directory_](const iam::PrincipalName& name) {
      return directory->exists(name);
    };
    if (const audit::Repair& repair = cloud->audit_->repair(); repair.removed_bytes != 0 || repair.lost_events != 0) {
      cloud->log_.warn("audit.repaired", {{"removed_bytes", std::to_string(repair.removed_bytes)},
                                          {"lost_events", std::to_string(repair.lost_events)}});
    }
    if (options.serve_console) {
      cloud->console_ = make_console(options, paths, cloud->platform_, kms_options.trust,
                                     {cloud->directory_, *cloud->audit_, clock, rng, cloud->log_});
    }
    cloud->log_.info("trust", {{"roots", kms_options.trust.names()}});
    if (kms_options.trust.names().find("local") != std::string::npos) {
      cloud->log_.warn(
          "trust.local",
          {{"note", "documents of local enclaves are accepted: their root is for development and protects nothing"}});
    }
    cloud->kms_.emplace(
        kms::api::ServiceParts{cloud->keyring_, cloud->directory_, *cloud->audit_, clock, rng, cloud->log_},
        std::move(kms_options));
    std::vector<std::string> sts_regions{cloud->platform_.region};
    // The global endpoint signs for us-east-1.
    if (sts_regions.front() != "us-east-1") sts_regions.emplace_back("us-east-1");
    const auto record = [audit = cloud->audit_.get()](const json::Object& event) { return audit->append(event); };
    iam::api::ServiceOptions iam_options{sts_regions};
    iam_options.find_last_use = [path = paths.audit()](std::string_view access_key_id) {
      return audit::find_event_in(path, {{}, false, std::string(access_key_id)});
    };
    iam_options.before_removal = [cloud = cloud.get()](std::string_view arn, std::string_view unique_id) {
      return cloud->pin_principal(arn, unique_id);
    };
    cloud->iam_.emplace(cloud->directory_, record, clock, rng, cloud->log_, std::move(iam_options));
    sts::ServiceOptions sts_options{std::move(sts_regions)};
    sts_options.find_event = [path = paths.audit()](std::string_view request_id) {
      return audit::find_event_in(path, {std::string(request_id), false});
    };
    cloud->sts_.emplace(cloud->directory_, record, clock, rng, cloud->log_, std::move(sts_options));
    imds::Instance instance;
    instance.account = cloud->platform_.account;
    instance.region = cloud->platform_.region;
    instance.instance_id = cloud->platform_.instance_id;
    instance.pending_time = clock.now();
    if (!cloud->platform_.role_arn.empty()) instance.role_name = role_name(cloud->platform_.role_arn);
    cloud->imds_.emplace(
        std::move(instance), [sessions = &cloud->sessions_] { return sessions->credentials(); }, clock, rng);
    return cloud;
  }

  const os::Platform& platform() const { return platform_; }

  // Where not all memory may be locked, at least what everything hangs on is.
  bool lock_root_key() const {
    return os::lock_pages(root_.bytes().expose()) && os::lock_pages(root_.wrapping_key().expose());
  }

  // Nothing of a request is trusted here: each service verifies that it was signed for it.
  http::Response handle_https(const http::Request& request) {
    if (request.path() == "/healthz" && request.method == "GET") return plain(200, "ok\n");
    if (console_ != nullptr && console::Service::owns(request)) return console_->handle(request);
    const std::string scope = sigv4::scoped_service(request);
    if (scope == "iam" && options_.serve_iam) return iam_->handle(request);
    const bool kms = kms::api::Service::is_target(request) || scope == "kms" || !options_.serve_sts;
    if (kms && options_.serve_kms) return kms_->handle(request);
    if (!kms && options_.serve_sts) return sts_->handle(request);
    return plain(404, "not served here\n");
  }
  http::Response handle_imds(const http::Request& request) { return imds_->handle(request); }

  // Keys of every account may name the users and roles of any.
  Result<void> pin_principal(std::string_view arn, std::string_view unique_id) {
    for (const auto& [account, alias] : directory_.state()->accounts) {
      for (const std::string& region : regions_) {
        const auto pinned = keyring_.pin_principal({account, region}, arn, unique_id);
        if (!pinned.ok()) log_.error("kms.pin-failed", {{"error", pinned.error().message()}});
        TRY(pinned);
      }
    }
    return {};
  }

  // Quick calls are done where they are read, and answered when all that were read with them are done; the others wait
  // for the disk or compute for long.
  bool is_quick(const http::Request& request) const {
    return options_.serve_kms && kms::api::Service::is_target(request) && kms::api::Service::answers_quickly(request);
  }
  void hold(net::Loop& loop, const http::Request& request, kms::api::Service::Done done) {
    // How long an answer waits for others: attested calls take half of it each.
    constexpr milliseconds kLongestWait{1};
    kms_->hold(request, std::move(done));
    const net::SteadyTime now = std::chrono::steady_clock::now();
    if (!holds_) {
      holds_ = true;
      held_since_ = now;
      loop.post([this] { settle(); });
    } else if (!settling_ && now - held_since_ > kLongestWait) {
      settle();
    }
  }
  void settle() {
    holds_ = false;
    settling_ = true;
    kms_->settle();
    settling_ = false;
  }

  http::Response handle_metrics(const http::Request& request, const net::ServerStats& stats) {
    if (request.path() == "/healthz") return plain(200, "ok\n");
    if (request.path() != "/metrics") return plain(404, "not served here\n");
    http::Response response = plain(200, {});
    response.headers.set("Content-Type", "text/plain; version=0.0.4");
    response.body = kms_->metrics() +
                    fmt::format(
                        "# TYPE casemate_connections gauge\ncasemate_connections {}\n"
                        "# TYPE casemate_connections_total counter\ncasemate_connections_total {}\n"
                        "# TYPE casemate_connections_refused_total counter\ncasemate_connections_refused_total "
                        "{}\n"
                        "# TYPE casemate_http_rejected_total counter\ncasemate_http_rejected_total {}\n"
                        "# TYPE casemate_http_timeouts_total counter\ncasemate_http_timeouts_total {}\n"
                        "# TYPE casemate_tls_failures_total counter\ncasemate_tls_failures_total {}\n",
                        stats.open, stats.accepted, stats.refused, stats.rejected, stats.timed_out, stats.tls_failures);
    return response;
  }

  // keep_time does what is due: deletions, rotations, expiries, and what was noted of uses.
  void keep_time() {
    report("kms.deletion", keyring_.delete_due());
    report("kms.rotation", keyring_.rotate_due());
    report("kms.expiry", keyring_.expire_due());
    flush_uses();
  }
  void flush_uses() {
    if (const auto flushed = keyring_.flush_uses(); !flushed.ok())
      log_.error("kms.uses-failed", {{"error", flushed.error().message()}});
  }

 private:
  Cloud(const Options& options, const os::Paths& paths, os::Platform platform, const Clock& clock, Rng& rng, Log log,
        kms::RootKey root, std::unique_ptr<kms::Store> store, std::unique_ptr<audit::Trail> audit,
        identity::State identities)
      : options_(options),
        platform_(std::move(platform)),
        log_(std::move(log)),
        root_(std::move(root)),
        store_(std::move(store)),
        audit_(std::move(audit)),
        keyring_(*store_, root_, clock, rng),
        directory_(identity::TokenSealer(root_.derive("session tokens")), std::move(identities),
                   [paths](const identity::State& state) { return save_identities(paths, state); }),
        sessions_(directory_, platform_, clock, rng) {}

  void report(const char* event, const Result<std::size_t>& done) {
    if (!done.ok()) log_.error(event, {{"error", done.error().message()}});
    if (done.ok() && *done != 0) log_.info(event, {{"keys", std::to_string(*done)}});
  }

  static http::Response plain(unsigned status, std::string_view text) {
    http::Response response;
    response.status = status;
    response.headers.add("Content-Type", "text/plain");
    response.body = text;
    return response;
  }

  const Options options_;
  const os::Platform platform_;
  std::vector<std::string> regions_;
  const Log log_;
  const kms::RootKey root_;
  std::unique_ptr<kms::Store> store_;
  std::unique_ptr<audit::Trail> audit_;
  kms::Keyring keyring_;
  identity::Directory directory_;
  RoleSessions sessions_;
  std::optional<kms::api::Service> kms_;
  std::optional<sts::Service> sts_;
  std::optional<iam::api::Service> iam_;
  std::optional<imds::Service> imds_;
  std::unique_ptr<console::Service> console_;
  bool holds_ = false;
  bool settling_ = false;  // an answer can bring the next call: those wait for the next time
  net::SteadyTime held_since_;
};

std::string url(std::string_view scheme, const net::BoundAddress& bound) {
  const bool v6 = bound.address.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", bound.address, v6 ? "]" : "", bound.port);
}

Result<json::Object> open_listeners(const Options& options, Cloud& cloud, net::Loop& loop, net::Server& server,
                                    net::Pool& pool, net::TlsIdentity identity) {
  json::Object endpoints;
  if (options.serve_kms || options.serve_sts || options.serve_iam || options.serve_console) {
    net::ListenerOptions listener;
    listener.address = options.listen.host;
    listener.port = options.listen.port;
    listener.tls = std::move(identity);
    net::AsyncHandler pooled =
        net::on_pool(pool, [&cloud](const http::Request& request) { return cloud.handle_https(request); });
    const auto bound = TRY(server
                               .listen(std::move(listener),
                                       [&cloud, &loop, pooled = std::move(pooled)](http::Request request, net::Reply reply) {
                                         if (!cloud.is_quick(request)) return pooled(std::move(request), reply);
                                         cloud.hold(loop, request, std::move(reply));
                                         net::clear_body(request.body);
                                       })
                               .in("--listen"));
    // The certificate has the name; an address of another interface is its own name.
    const bool loopback = bound.address == "127.0.0.1" || bound.address == "::1";
    endpoints.set("kms", loopback ? fmt::format("https://localhost:{}", bound.port) : url("https", bound));
  }
  if (options.serve_imds) {
    net::ListenerOptions listener;
    listener.address = options.imds.host;
    listener.port = options.imds.port;
    const auto bound =
        TRY(server
                .listen(std::move(listener),
                        net::Handler([&cloud](const http::Request& request) { return cloud.handle_imds(request); }))
                .in("--imds"));
    endpoints.set("imds", url("http", bound));
  }
  if (options.metrics && options.serve_kms) {
    net::ListenerOptions listener;
    listener.address = options.metrics->host;
    listener.port = options.metrics->port;
    const auto bound =
        TRY(server
                .listen(std::move(listener), net::Handler([&cloud, &server](const http::Request& request) {
                          return cloud.handle_metrics(request, server.stats());
                        }))
                .in("--metrics"));
    endpoints.set("metrics", url("http", bound));
  }
  return endpoints;
}

// The own CA's certificate, or the one that was named; both are read again when they are renewed.
Result<net::TlsIdentity> load_identity_files(const Options& options, const os::Paths& paths,
                                             const std::vector<std::string>& names, WallTime now) {
  if (options.tls_certificate.empty()) return load_tls_identity(paths.home / "ca", names, now);
  return net::TlsIdentity{TRY(os::read_file(options.tls_certificate, 256 * 1024)),
                          TRY(os::read_secret_file(options.tls_key, 64 * 1024))};
}

Result<void> serve(const Options& options) {
  const SystemClock clock;
  crypto::SystemRng rng;
  const Log log(clock, options.log_level, stderr_sink());
  os::Paths paths = TRY(os::paths_from_environment());
  if (!options.home.empty()) paths.home = std::filesystem::absolute(options.home);
  if (!options.run_dir.empty()) paths.run = std::filesystem::absolute(options.run_dir);
  TRY(os::make_private_directories(paths.home));
  TRY(os::make_private_directories(paths.run));
  const auto lock = os::FileLock::acquire(paths.home / "casemated.lock", milliseconds{0});
  if (!lock.ok()) return unavailable("{}: in use by another casemated", paths.home.native());

  const bool all_locked = os::lock_memory();
  const auto loop = TRY(net::Loop::create(kTurn));
  const auto cloud = TRY(Cloud::create(options, paths, clock, rng, log));
  log.info("memory", {{"locked", all_locked ? "all" : cloud->lock_root_key() ? "root key" : "nothing"}});
  std::vector<std::string> names = server_names(cloud->platform().region);
  for (const std::string& region : options.regions) {
    for (std::string& name : server_names(region)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
    }
  }
  net::ServerOptions limits;
  limits.body_bytes = 1024 * 1024;
  limits.clock = &clock;
  limits.connections = options.connections;
  limits.connections_per_peer = options.connections_per_peer;
  const auto server = TRY(net::Server::create(*loop, limits, log));
  bool draining = false;
  const auto reload = [&] {
    const auto identity = load_identity_files(options, paths, names, clock.now());
    const auto replaced = identity.ok() ? server->replace_identity(*identity) : Result<void>(identity.error());
    if (!replaced.ok()) return log.error("tls.reload-failed", {{"error", replaced.error().message()}});
    log.info("tls.reloaded");
  };
  TRY(loop->on_signals({SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal == SIGHUP) return reload();
    if (draining) return;
    draining = true;
    log.info("draining");
    server->drain(kDrainGrace, [&] { loop->stop(); });
  }));
  // Threads begin after the signals are theirs no more.
  net::Pool pool("kms", options.threads);
  const json::Object endpoints =
      TRY(open_listeners(options, *cloud, *loop, *server, pool, TRY(load_identity_files(options, paths, names, clock.now()))));
  const auto run_files = TRY(RunFiles::write(paths, endpoints));

  const net::Timer housekeeping = loop->every(seconds{60}, [&] {
    if (!pool.submit([&] { cloud->keep_time(); })) log.warn("kms.housekeeping-late");
  });
  const net::Timer renewal = loop->every(hours{12}, reload);
  const json::Value shown(endpoints);
  log.info("serving", {{"endpoints", json::encode(shown)},
                       {"account", cloud->platform().account},
                       {"region", cloud->platform().region}});
  loop->run();
  cloud->flush_uses();
  log.info("stopped");
  return {};
}

}  // namespace

int run_casemated(int argc, char** argv) {
  const auto parsed = parse_options(argc, argv);
  if (const auto* exit = std::get_if<Exit>(&parsed)) {
    std::fputs(exit->out.c_str(), stdout);
    std::fputs(exit->err.c_str(), stderr);
    return exit->status;
  }
  os::harden_process();
  const auto served = serve(std::get<Options>(parsed));
  if (served.ok()) return 0;
  std::fprintf(stderr, "casemated: %s\n", served.error().message().c_str());
  return 1;
}

}  // namespace casemate::cli::casemated
