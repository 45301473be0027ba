// SPDX-License-Identifier: Apache-2.0
// The service over a store in memory, with an administrator and a parent instance's role, for the tests of this folder.
#pragma once

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>

#include "attestation/hierarchy.h"
#include "base/encoding.h"
#include "base/test_matchers.h"
#include "cose/sign1.h"
#include "crypto/cms.h"
#include "crypto/rng.h"
#include "json/value.h"
#include "kms/api/operations.h"
#include "kms/api/service.h"
#include "kms/store/sqlite/sqlite_store.h"
#include "sigv4/sigv4.h"

namespace casemate::kms::api {

inline constexpr std::string_view kAccount = "111122223333";
inline constexpr std::string_view kRegion = "us-east-1";
inline const WallTime kNow{std::chrono::seconds{1'800'000'000}};

// Credentials: an administrator, and the role of a parent instance without any policy.
class Credentials final : public iam::CredentialSource {
 public:
  Credentials() {
    auto admin = std::make_shared<iam::Caller>();
    admin->principal = iam::user(kAccount, "/", "admin", "AIDAADMIN");
    admin->access_key_id = "AKIDADMIN";
    admin->identity_policies = {
        {"AdministratorAccess",
         iam::parse_policy(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})",
                           iam::PolicyType::kIdentity)
             .take()}};
    callers_["AKIDADMIN"] = admin;
    auto parent = std::make_shared<iam::Caller>();
    parent->principal = iam::assumed_role(kAccount, "/", "casemate-parent", "AROAPARENT", "i-0123456789abcdef0");
    parent->access_key_id = "ASIAPARENT";
    parent->token_issue_time = kNow;
    callers_["ASIAPARENT"] = parent;
  }

  sigv4::Lookup<iam::CallerPtr> find(std::string_view id, std::optional<std::string_view>, WallTime) override {
    const auto it = callers_.find(std::string(id));
    if (it == callers_.end()) return {};
    return {sigv4::Found::kCredential, Secret::copy_of(as_bytes("secret")), it->second};
  }

 private:
  std::map<std::string, iam::CallerPtr> callers_;
};

struct Reply {
  unsigned status = 0;
  json::Value body;
  std::string text;
  std::string error() const {
    const std::string* type = body.string_at("__type");
    return type == nullptr ? "" : *type;
  }
  std::string message() const {
    const std::string* text_member = body.string_at("message");
    if (text_member == nullptr) text_member = body.string_at("Message");
    return text_member == nullptr ? "" : *text_member;
  }
  std::string at(std::string_view name) const {
    const std::string* value = body.string_at(name);
    return value == nullptr ? "" : *value;
  }
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    char name[] = "/tmp/kms_service_test_XXXXXX";
    folder_ = ::mkdtemp(name);
    audit_ = audit::Trail::open(folder_ / "audit.jsonl", kNow).take();
    ServiceOptions options;
    options.regions = {"us-east-1", "eu-west-1"};
    EXPECT_THAT(options.trust.add_pem("local", hierarchy_.root_pem()), IsOk());
    options.principal_exists = [](const iam::PrincipalName& principal) {
      return principal.text.find("nobody") == std::string::npos;
    };
    service_ = std::make_unique<Service>(ServiceParts{keyring_, credentials_, *audit_, clock_, rng_, Log{}},
                                         std::move(options));
  }
  ~ServiceTest() override { std::filesystem::remove_all(folder_); }

  enum class Who { kAdmin, kParent };
  Reply call(std::string_view operation, json::Object parameters, Who who = Who::kAdmin,
             std::string_view region = kRegion) {
    return send(signed_request(operation, std::move(parameters), who, region));
  }
  http::Request signed_request(std::string_view operation, json::Object parameters, Who who = Who::kAdmin,
                               std::string_view region = kRegion) {
    http::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers.add("Host", "kms.us-east-1.amazonaws.com");
    request.headers.add("X-Amz-Target", fmt::format("TrentService.{}", operation));
    request.headers.add("Content-Type", "application/x-amz-json-1.1");
    request.body = json::encode(parameters);
    request.peer = "127.0.0.1";
    request.secure = true;
    const auto credentials = sigv4::Credentials::of(who == Who::kAdmin ? "AKIDADMIN" : "ASIAPARENT", "secret");
    EXPECT_THAT(sigv4::sign(request, credentials, region, "kms", clock_.now()), IsOk());
    return request;
  }
  Reply send(const http::Request& request) { return read(service_->handle(request)); }
  static Reply read(const http::Response& response) {
    Reply reply;
    reply.status = response.status;
    reply.text = response.body;
    if (!response.body.empty()) reply.body = json::parse(response.body).take();
    EXPECT_NE(response.headers.find("x-amzn-RequestId"), nullptr);
    return reply;
  }

  std::string create_key(json::Object parameters = {}) {
    const Reply reply = call("CreateKey", std::move(parameters));
    EXPECT_EQ(reply.status, 200U) << reply.text;
    const json::Value* metadata = reply.body.find("KeyMetadata");
    return metadata == nullptr ? "" : *metadata->string_at("KeyId");
  }
  std::string encrypt(const std::string& key, std::string_view plaintext) {
    return call("Encrypt", {{"KeyId", key}, {"Plaintext", encode_base64(as_bytes(plaintext))}}).at("CiphertextBlob");
  }
  void put_policy(const std::string& key, const std::string& statements) {
    const Reply reply = call("PutKeyPolicy", {{"KeyId", key}, {"Policy", policy(statements)}});
    EXPECT_EQ(reply.status, 200U) << reply.text;
  }
  static std::string policy(const std::string& statements) {
    return R"({"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"})" +
           (statements.empty() ? "" : "," + statements) + "]}";
  }

  // document_of_a_tpm has the same registers under the name that a NitroTPM gives them.
  std::string document_of_a_tpm(std::uint8_t pcr0, const Bytes& public_key) {
    const std::string module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    const attestation::Signer signer = hierarchy_.issue_leaf(module_id, kNow, rng_).take();
    attestation::Statement statement;
    statement.module_id = module_id;
    statement.timestamp = kNow;
    statement.public_key = public_key;
    for (std::uint8_t i = 0; i < 5; ++i) statement.pcrs.push_back({i, Bytes(48, i == 0 ? pcr0 : i)});
    const Bytes payload = attestation::encode_document(statement, signer.certificate, signer.cabundle);
    std::string text(as_text(payload));
    const std::string name = "\x64pcrs";
    text.replace(text.find(name), name.size(), "\x6dnitrotpm_pcrs");
    return encode_base64(cose::sign1(as_bytes(text), signer.key, rng_));
  }

  // document attests `pcr0` as every byte of PCR0.
  std::string document(std::uint8_t pcr0, std::optional<Bytes> public_key, WallTime at = kNow) {
    const std::string module_id = "i-0123456789abcdef0-enc0123456789abcdef";
    const attestation::Signer signer = hierarchy_.issue_leaf(module_id, kNow, rng_).take();
    attestation::Statement statement;
    statement.module_id = module_id;
    statement.timestamp = at;
    for (std::uint8_t i = 0; i < 5; ++i) statement.pcrs.push_back({i, Bytes(48, i == 0 ? pcr0 : i)});
    if (public_key) statement.public_key = *public_key;
    return encode_base64(attestation::create(statement, signer, rng_));
  }
  json::Value recipient(const std::string& document_text) {
    return json::Object{{"KeyEncryptionAlgorithm", "RSAES_OAEP_SHA_256"}, {"AttestationDocument", document_text}};
  }
  std::string audit_text() { return os::read_file(folder_ / "audit.jsonl", 1 << 24).take(); }
  json::Value last_event() {
    const std::string text = audit_text();
    const std::size_t from = text.rfind('\n', text.size() - 2);
    return json::parse(std::string_view(text).substr(from == std::string::npos ? 0 : from + 1)).take();
  }

  std::filesystem::path folder_;
  crypto::SystemRng rng_;
  FixedClock clock_{kNow};
  attestation::Hierarchy hierarchy_ = attestation::Hierarchy::create({}, kNow, rng_);
  std::unique_ptr<Store> store_ = store::sqlite::create_memory_store().take();
  RootKey root_ = RootKey::generate(rng_);
  Keyring keyring_{*store_, root_, clock_, rng_};
  Credentials credentials_;
  std::unique_ptr<audit::Trail> audit_;
  std::unique_ptr<Service> service_;
};

inline const crypto::RsaPrivateKey& recipient_key() {
  static const crypto::RsaPrivateKey key = crypto::RsaPrivateKey::generate(2048).take();
  return key;
}

}  // namespace casemate::kms::api
