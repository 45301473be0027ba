// SPDX-License-Identifier: Apache-2.0
#include "sdk/kms-proxy/service.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <thread>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/cms.h"
#include "crypto/rng.h"
#include "json/value.h"

namespace casemate::kms_proxy {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

// Upstream answers each request on connections of its own; it keeps what it was sent.
class Upstream {
 public:
  using Handler = std::function<std::string(const std::string& head, const json::Value& body)>;
  explicit Upstream(Handler handler) : handler_(std::move(handler)) {}
  ~Upstream() {
    for (auto& thread : threads_) thread.join();
  }
  kms::Connector connector() {
    return [this](std::chrono::milliseconds) -> Result<UniqueFd> {
      int fds[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) return errno_error("socketpair");
      threads_.emplace_back([this, fd = fds[1]] { serve(UniqueFd(fd)); });
      return UniqueFd(fds[0]);
    };
  }
  std::string head;
  json::Value body;
  int requests = 0;

 private:
  void serve(UniqueFd fd) {
    const sdk::Deadline deadline(10s);
    for (std::string text;;) {
      std::uint8_t buffer[4096];
      const auto count = sdk::read_some(fd.get(), buffer, deadline);
      if (!count || *count == 0) return;
      text += as_text(ByteView(buffer, *count));
      const auto end = text.find("\r\n\r\n");
      const auto length = text.find("Content-Length: ");
      if (end == std::string::npos || text.size() < end + 4 + std::stoul(text.substr(length + 16))) continue;
      ++requests;
      head = text.substr(0, end);
      body = json::parse(std::string_view(text).substr(end + 4)).value();
      const std::string answer = handler_(head, body);
      if (answer.empty() || !sdk::write_all(fd.get(), as_bytes(answer), deadline)) return;
      text.clear();
    }
  }
  Handler handler_;
  std::vector<std::thread> threads_;
};

std::string http_text(unsigned status, const json::Value& body) {
  const std::string text = json::encode(body);
  return fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: R1\r\nSet-Cookie: no\r\nContent-Length: {}\r\n\r\n{}", status,
                     text.size(), text);
}

const crypto::RsaPrivateKey& own_key() {
  static const auto key = crypto::RsaPrivateKey::generate(2048).take();
  return key;
}

class OwnRecipient final : public kms::Recipient {
 public:
  class Own final : public Attested {
   public:
    Own() : document_(own_key().public_key().spki()) {}
    ByteView document() const override { return document_; }
    Result<Secret> open(ByteView envelope) const override {
      crypto::SystemRng rng;
      return crypto::open_enveloped_data(envelope, own_key(), rng);
    }

   private:
    Bytes document_;
  };
  Result<std::unique_ptr<Attested>> attest() override { return std::unique_ptr<Attested>(std::make_unique<Own>()); }
};

std::string envelope_of(std::string_view secret, const crypto::RsaPrivateKey& key = own_key()) {
  crypto::SystemRng rng;
  return encode_base64(crypto::encode_enveloped_data(key.public_key(), Secret::copy_of(as_bytes(secret)), rng).value());
}

http::Request request(std::string_view operation, std::string_view body, std::string_view region = "us-east-1") {
  http::Request out;
  out.method = "POST";
  out.target = "/";
  out.headers.add("Host", "127.0.0.1:8090");
  out.headers.add("X-Amz-Target", fmt::format("TrentService.{}", operation));
  out.headers.add("Authorization", fmt::format("AWS4-HMAC-SHA256 Credential=any/20260101/{}/kms/aws4_request, SignedHeaders=host, Signature=00", region));
  out.body = body;
  return out;
}

ServiceOptions options_of(Upstream& upstream) {
  ServiceOptions options;
  options.tls = false;
  options.connect = upstream.connector();
  options.credentials = static_credentials({"ASIAENCLAVE", Secret::copy_of(as_bytes("secret")), "token", {}});
  options.recipient = std::make_shared<OwnRecipient>();
  options.timeout = 5s;
  return options;
}

std::string error_type(const http::Response& response) {
  const auto body = json::parse(response.body);
  const std::string* type = body ? body->string_at("__type") : nullptr;
  return type == nullptr ? "" : *type;
}

TEST(KmsProxy, AttestsTheFiveOperationsAndAnswersAsOrdinaryKms) {
  for (const std::string operation : {"Decrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateRandom", "DeriveSharedSecret"}) {
    const std::string member(secret_member(operation));
    Upstream upstream([&](const std::string&, const json::Value& body) {
      const json::Value* recipient = body.find("Recipient");
      EXPECT_NE(recipient, nullptr);
      EXPECT_EQ(*recipient->string_at("KeyEncryptionAlgorithm"), "RSAES_OAEP_SHA_256");
      return http_text(200, json::Object{{"KeyId", "arn"}, {"CiphertextForRecipient", envelope_of("the secret")}, {member, nullptr}, {"Public", "kept"}});
    });
    {
      Service service(options_of(upstream));
      const auto response = service.handle(request(operation, R"({"KeyId":"k"})"));
      EXPECT_EQ(response.status, 200U) << response.body;
      const auto body = json::parse(response.body).value();
      EXPECT_EQ(*body.string_at(member), encode_base64(as_bytes(std::string_view("the secret"))));
      EXPECT_EQ(*body.string_at("Public"), "kept");
      EXPECT_EQ(body.find("CiphertextForRecipient"), nullptr);
      EXPECT_EQ(*response.headers.find("x-amzn-RequestId"), "R1");
      EXPECT_EQ(response.headers.find("Set-Cookie"), nullptr);
    }
    EXPECT_EQ(*upstream.body.string_at("KeyId"), "k");
    EXPECT_THAT(upstream.head, HasSubstr("Credential=ASIAENCLAVE/"));
    EXPECT_THAT(upstream.head, HasSubstr("/us-east-1/kms/aws4_request"));
    EXPECT_THAT(upstream.head, HasSubstr("X-Amz-Security-Token: token"));
  }
}

TEST(KmsProxy, PassesOthersThroughAsTheyAre) {
  Upstream upstream([](const std::string&, const json::Value& body) {
    EXPECT_EQ(body.find("Recipient"), nullptr);
    return http_text(400, json::Object{{"__type", "NotFoundException"}, {"message", "no such key"}});
  });
  Service service(options_of(upstream));
  const auto response = service.handle(request("DescribeKey", R"({"KeyId":"k"})"));
  EXPECT_EQ(response.status, 400U);
  EXPECT_EQ(error_type(response), "NotFoundException");
}

TEST(KmsProxy, LeavesACallersOwnRecipientAlone) {
  Upstream upstream([](const std::string&, const json::Value& body) {
    EXPECT_EQ(*body.find("Recipient")->string_at("AttestationDocument"), "b3du");
    return http_text(200, json::Object{{"CiphertextForRecipient", "ZW52"}});
  });
  Service service(options_of(upstream));
  const auto response = service.handle(request("Decrypt", R"({"CiphertextBlob":"AA==","Recipient":{"AttestationDocument":"b3du"}})"));
  EXPECT_THAT(response.body, HasSubstr("ZW52"));
}

TEST(KmsProxy, GivesTheServicesDenialUnchanged) {
  Upstream upstream([](const std::string&, const json::Value&) {
    return http_text(400, json::Object{{"__type", "AccessDeniedException"}, {"Message", "User: x is not authorized"}});
  });
  Service service(options_of(upstream));
  const auto response = service.handle(request("Decrypt", "{}"));
  EXPECT_EQ(response.status, 400U);
  EXPECT_EQ(error_type(response), "AccessDeniedException");
  EXPECT_THAT(response.body, HasSubstr("not authorized"));
}

TEST(KmsProxy, NeverTakesABarePlaintextNorAnotherKeysEnvelope) {
  const auto other = crypto::RsaPrivateKey::generate(2048).take();
  const json::Object answers[] = {{{"Plaintext", "c2VjcmV0"}},
                                  {{"Plaintext", "c2VjcmV0"}, {"CiphertextForRecipient", envelope_of("secret")}},
                                  {{"CiphertextForRecipient", envelope_of("secret", other)}},
                                  {{"KeyId", "k"}}};
  for (const json::Object& answer : answers) {
    Upstream upstream([&](const std::string&, const json::Value&) { return http_text(200, answer); });
    Service service(options_of(upstream));
    const auto response = service.handle(request("Decrypt", "{}"));
    EXPECT_EQ(response.status, 400U);
    EXPECT_THAT(response.body, Not(HasSubstr("c2VjcmV0")));
    EXPECT_THAT(error_type(response), testing::AnyOf("ProxyUntrustedException", "ValidationException"));
  }
}

TEST(KmsProxy, RefusesWhatNoSdkSends) {
  Upstream upstream([](const std::string&, const json::Value&) { return std::string(); });
  Service service(options_of(upstream));
  auto refused = [&](auto change) {
    auto changed = request("Decrypt", "{}");
    change(changed);
    const auto response = service.handle(changed);
    EXPECT_EQ(response.status, 400U);
    return response.body;
  };
  EXPECT_THAT(refused([](http::Request& r) { r.headers.set("Host", "evil.example:8090"); }), HasSubstr("Host"));
  EXPECT_THAT(refused([](http::Request& r) { r.headers.set("Host", "127.0.0.1.evil.example"); }), HasSubstr("Host"));
  EXPECT_THAT(refused([](http::Request& r) { r.method = "GET"; }), HasSubstr("POST"));
  EXPECT_THAT(refused([](http::Request& r) { r.target = "/x"; }), HasSubstr("POST /"));
  EXPECT_THAT(refused([](http::Request& r) { r.headers.set("X-Amz-Target", "DynamoDB_20120810.GetItem"); }), HasSubstr("TrentService"));
  EXPECT_THAT(refused([](http::Request& r) { r.headers.set("X-Amz-Target", "TrentService.De\rcrypt"); }), HasSubstr("letters"));
  EXPECT_THAT(refused([](http::Request& r) { r.body = "[]"; }), HasSubstr("want an object"));
  EXPECT_THAT(refused([](http::Request& r) { r.body = R"({"a":1,"a":2})"; }), HasSubstr("ValidationException"));
  EXPECT_THAT(refused([](http::Request& r) { r.headers.set("Authorization", "none"); }), HasSubstr("no region"));
  EXPECT_THAT(refused([](http::Request& r) { r = request("Decrypt", "{}", "evil.example#"); }), HasSubstr("region"));
  EXPECT_EQ(upstream.requests, 0);
}

TEST(KmsProxy, HoldsToItsRegion) {
  Upstream upstream([](const std::string&, const json::Value&) { return std::string(); });
  auto options = options_of(upstream);
  options.region = "us-east-1";
  Service service(std::move(options));
  EXPECT_THAT(service.handle(request("DescribeKey", "{}", "eu-west-1")).body, HasSubstr("eu-west-1, this proxy leads to us-east-1"));
}

TEST(KmsProxy, AsksToTryAgainWhenTheWayIsBlocked) {
  Upstream upstream([](const std::string&, const json::Value&) { return std::string(); });
  auto options = options_of(upstream);
  options.connect = [](std::chrono::milliseconds) -> Result<UniqueFd> { return unavailable("vsock-proxy: nothing listens there"); };
  const auto response = Service(std::move(options)).handle(request("Decrypt", "{}"));
  EXPECT_EQ(response.status, 503U);
  EXPECT_THAT(response.body, HasSubstr("vsock-proxy"));
  auto without = options_of(upstream);
  without.credentials = renewed_credentials([](std::chrono::milliseconds) -> Result<Credentials> { return Error(ErrorCode::kNotFound, "no server"); });
  const auto refused = Service(std::move(without)).handle(request("Decrypt", "{}"));
  EXPECT_EQ(refused.status, 503U);
  EXPECT_THAT(refused.body, HasSubstr("credentials: no server"));
}

TEST(KmsProxy, ReadsTheScope) {
  EXPECT_EQ(scope_region("AWS4-HMAC-SHA256 Credential=a/b/20260101/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=0"), "eu-west-1");
  EXPECT_THAT(scope_region("Bearer x"), IsEmpty());
  EXPECT_THAT(scope_region("AWS4-HMAC-SHA256 Credential=a/kms"), IsEmpty());
}

}  // namespace
}  // namespace casemate::kms_proxy
