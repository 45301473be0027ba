// SPDX-License-Identifier: Apache-2.0
// The SDK's surroundings in one process and on one clock: KMS, the instance's metadata and an enclave's module, reached over
// socket pairs.
#pragma once

#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "attestation/document.h"
#include "attestation/hierarchy.h"
#include "audit/trail.h"
#include "base/encoding.h"
#include "base/text.h"
#include "casemate/kms.h"
#include "casemate/parent.h"
#include "cose/sign1.h"
#include "crypto/rng.h"
#include "iam/caller.h"
#include "imds/service.h"
#include "json/value.h"
#include "kms/api/service.h"
#include "kms/store/sqlite/sqlite_store.h"
#include "nsm/device.h"
#include "pki/store.h"
#include "sdk/src/stream.h"
#include "sigv4/sigv4.h"

namespace casemate::channel {

using namespace std::chrono_literals;

inline constexpr std::string_view kRoleArn = "arn:aws:iam::111122223333:role/casemate-parent";
inline constexpr char kModule[] = "i-0123456789abcdef0-enc0123456789abcdef";

// Wire carries requests of the SDK to a handler, each connection on a socket pair with a thread of its own.
class Wire {
 public:
  explicit Wire(std::function<http::Response(const http::Request&)> handle) : handle_(std::move(handle)) {}
  ~Wire() {
    for (auto& thread : threads_) thread.join();
  }
  kms::Connector connector() {
    return [this](std::chrono::milliseconds) -> Result<UniqueFd> {
      int fds[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) return errno_error("socketpair");
      threads_.emplace_back([this, fd = fds[1]] { serve(UniqueFd(fd)); });
      return UniqueFd(fds[0]);
    };
  }

 private:
  void serve(UniqueFd fd) {
    const sdk::Deadline deadline(300s);
    std::string text;
    for (;;) {
      std::uint8_t buffer[8192];
      const auto count = sdk::read_some(fd.get(), buffer, deadline);
      if (!count || *count == 0) return;
      text += as_text(ByteView(buffer, *count));
      const auto end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      http::Request request;
      std::size_t length = 0;
      std::string_view head = std::string_view(text).substr(0, end);
      for (bool first = true; !head.empty(); first = false) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(head.size(), line.size() + 2));
        if (first) {
          const auto space = line.find(' ');
          request.method = line.substr(0, space);
          request.target = line.substr(space + 1, line.rfind(' ') - space - 1);
        } else {
          const auto colon = line.find(": ");
          request.headers.add(line.substr(0, colon), line.substr(colon + 2));
          if (equal_ignoring_case(line.substr(0, colon), "Content-Length")) length = std::stoul(std::string(line.substr(colon + 2)));
        }
      }
      if (text.size() < end + 4 + length) continue;
      request.body = text.substr(end + 4, length);
      request.peer = "127.0.0.1";
      request.secure = true;
      text.clear();
      const http::Response response = handle_(request);
      std::string out = fmt::format("HTTP/1.1 {} X\r\n", response.status);
      for (const auto& [name, value] : response.headers) out += name + ": " + value + "\r\n";
      out += fmt::format("Content-Length: {}\r\n\r\n{}", response.body.size(), response.body);
      if (!sdk::write_all(fd.get(), as_bytes(out), deadline)) return;
    }
  }

  std::function<http::Response(const http::Request&)> handle_;
  std::vector<std::thread> threads_;
};

// create_key makes a key that the role may decrypt with from the measured enclave only, and gives its id.
inline std::string create_key(kms::api::Service& service, const Clock& clock) {
  const std::string policy = fmt::format(
      R"({{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:root"}},"Action":"kms:*","Resource":"*"}},)"
      R"({{"Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"kms:Decrypt","Resource":"*","Condition":{{"StringEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{}"}}}}}}]}})",
      kRoleArn, encode_hex(Bytes(48, 0xab)));
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.headers.add("Host", "kms.us-east-1.amazonaws.com");
  request.headers.add("X-Amz-Target", "TrentService.CreateKey");
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.body = json::encode(json::Object{{"Policy", policy}});
  request.secure = true;
  CASEMATE_CHECK(sigv4::sign(request, sigv4::Credentials::of("AKIAADMIN", "secret"), "us-east-1", "kms", clock.now()).ok());
  const auto response = service.handle(request);
  CASEMATE_CHECK(response.status == 200);
  const auto body = json::parse(response.body).value();
  return *body.find("KeyMetadata")->string_at("KeyId");
}

// Callers: an administrator with a long-term key, and sessions of the instance's role, good for an hour.
class Callers final : public iam::CredentialSource {
 public:
  explicit Callers(const Clock& clock) : clock_(clock) {
    auto admin = std::make_shared<iam::Caller>();
    admin->principal = iam::user("111122223333", "/", "admin", "AIDAADMIN");
    admin->access_key_id = "AKIAADMIN";
    admin->identity_policies = {
        {"All", iam::parse_policy(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})", iam::PolicyType::kIdentity).take()}};
    admin_ = std::move(admin);
  }
  // issue makes a session; its token is its number.
  imds::RoleCredentials issue() {
    const std::scoped_lock lock(mutex_);
    auto caller = std::make_shared<iam::Caller>();
    caller->principal = iam::assumed_role("111122223333", "/", "casemate-parent", "AROAPARENT", "i-0123456789abcdef0");
    caller->access_key_id = fmt::format("ASIA{:016}", sessions_.size());
    caller->token_issue_time = clock_.now();
    sessions_[caller->access_key_id] = {caller, clock_.now() + 1h};
    return {caller->access_key_id, "secret", caller->access_key_id, clock_.now(), clock_.now() + 1h};
  }
  std::size_t issued() const { return sessions_.size(); }

  sigv4::Lookup<iam::CallerPtr> find(std::string_view id, std::optional<std::string_view> token, WallTime now) override {
    const std::scoped_lock lock(mutex_);
    const auto secret = [] { return Secret::copy_of(as_bytes(std::string_view("secret"))); };
    if (id == "AKIAADMIN" && !token) return {sigv4::Found::kCredential, secret(), admin_};
    const auto it = sessions_.find(std::string(id));
    if (it == sessions_.end() || token != id) return {};
    if (now >= it->second.expires) return {sigv4::Found::kExpiredToken, {}, nullptr};
    return {sigv4::Found::kCredential, secret(), it->second.caller};
  }

 private:
  struct Session {
    iam::CallerPtr caller;
    WallTime expires;
  };
  const Clock& clock_;
  std::mutex mutex_;
  iam::CallerPtr admin_;
  std::map<std::string, Session> sessions_;
};

// Stack is all of it. `clock` is the only time there is; nothing moves it but its owner.
class Stack {
 public:
  explicit Stack(const Clock& with) : clock(with) {
    char name[] = "/tmp/channel_stack_XXXXXX";
    CASEMATE_CHECK(::mkdtemp(name) != nullptr);
    folder = name;
    imds::Instance instance;
    instance.role_name = "casemate-parent";
    instance.pending_time = clock.now();
    metadata.emplace(
        instance,
        [this]() -> Result<imds::RoleCredentials> { return callers.issue(); },
        clock, rng);

    const attestation::HierarchyNames names;
    CASEMATE_CHECK(pki::init(folder / "pki", names, clock.now(), rng).ok());
    nsm::PcrBank pcrs;
    nsm::PcrValue measured;
    measured.fill(0xab);
    pcrs.set(0, measured);
    device.emplace(nsm::Device::Parts{.module_id = kModule,
                                      .pcrs = pcrs,
                                      .signers = std::make_unique<attestation::LeafIssuer>(pki::leaf_source(folder / "pki", names, kModule, rng)),
                                      .clock = &clock,
                                      .rng = &rng});

    audit = casemate::audit::Trail::open(folder / "audit.jsonl", clock.now()).take();
    kms::api::ServiceOptions options;
    CASEMATE_CHECK(options.trust.add_pem("local", pki::root_pem(folder / "pki").value()).ok());
    service.emplace(kms::api::ServiceParts{keyring, callers, *audit, clock, rng, Log{}}, std::move(options));
  }
  ~Stack() { std::filesystem::remove_all(folder); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  Now now() const {
    return [this] { return std::chrono::floor<std::chrono::seconds>(clock.now()); };
  }
  // client_options is a client's, of the administrator, over `wire`.
  kms::Client::Options client_options(Wire& wire) const {
    kms::Client::Options options;
    options.region = "us-east-1";
    options.tls = false;
    options.connect = wire.connector();
    options.now = now();
    options.attempts = 1;
    options.timeout = 120s;
    options.credentials = static_credentials({"AKIAADMIN", Secret::copy_of(as_bytes(std::string_view("secret"))), "", {}});
    return options;
  }
  std::shared_ptr<CredentialsProvider> role_credentials(Wire& wire) const {
    parent::MetadataOptions options;
    options.endpoint = "http://169.254.169.254";
    options.timeout = 60s;
    options.connect = wire.connector();
    options.now = now();
    return parent::instance_credentials(options);
  }

  const Clock& clock;
  std::filesystem::path folder;
  crypto::SystemRng rng;
  kms::RootKey root = kms::RootKey::generate(rng);
  Callers callers{clock};
  std::optional<imds::Service> metadata;
  std::optional<nsm::Device> device;
  std::unique_ptr<kms::Store> store = kms::store::sqlite::create_memory_store().take();
  kms::Keyring keyring{*store, root, clock, rng};
  std::unique_ptr<casemate::audit::Trail> audit;
  std::optional<kms::api::Service> service;
};

}  // namespace casemate::channel
