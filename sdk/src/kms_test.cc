// SPDX-License-Identifier: Apache-2.0
#include "casemate/kms.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/encoding.h"
#include "base/test_matchers.h"
#include "crypto/cms.h"
#include "crypto/rng.h"
#include "json/value.h"
#include "sdk/src/stream.h"

namespace casemate::kms {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr char kArn[] = "arn:aws:kms:us-east-1:111122223333:key/1";

// FakeKms answers each request on its own connection with the next of its scripted answers, then keeps or closes it.
class FakeKms {
 public:
  struct Answer {
    std::string text;  // empty: close without an answer
    bool close = false;
  };
  using Handler = std::function<Answer(const std::string& request, const json::Value& body)>;

  explicit FakeKms(Handler handler) : handler_(std::move(handler)) {}
  ~FakeKms() {
    for (std::thread& thread : threads_) thread.join();
  }

  Connector connector() {
    return [this](std::chrono::milliseconds) -> Result<UniqueFd> {
      int fds[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) return errno_error("socketpair");
      ++connections;
      threads_.emplace_back([this, fd = fds[1]] { serve(UniqueFd(fd)); });
      return UniqueFd(fds[0]);
    };
  }

  std::atomic<int> connections = 0;
  std::atomic<int> requests = 0;

 private:
  void serve(UniqueFd fd) {
    const sdk::Deadline deadline(10s);
    for (;;) {
      std::string text;
      std::size_t head = std::string::npos;
      std::size_t length = 0;
      while (head == std::string::npos || text.size() < head + 4 + length) {
        std::uint8_t buffer[4096];
        const auto count = sdk::read_some(fd.get(), buffer, deadline);
        if (!count || *count == 0) return;
        text += as_text(ByteView(buffer, *count));
        head = text.find("\r\n\r\n");
        if (const auto at = text.find("Content-Length: "); at != std::string::npos) length = std::stoul(text.substr(at + 16));
      }
      ++requests;
      const auto body = json::parse(std::string_view(text).substr(head + 4));
      const Answer answer = handler_(text.substr(0, head), body ? *body : json::Value());
      if (answer.text.empty()) return;
      if (!sdk::write_all(fd.get(), as_bytes(answer.text), deadline) || answer.close) return;
    }
  }

  Handler handler_;
  std::vector<std::thread> threads_;
};

std::string http(unsigned status, std::string_view body) {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

std::string plain_answer(std::string_view plaintext) {
  return http(200, json::encode(json::Object{{"KeyId", kArn}, {"Plaintext", encode_base64(as_bytes(plaintext))}}));
}

// OwnRecipient's document is its public key, so a FakeKms can answer to it.
class OwnRecipient final : public Recipient {
 public:
  class Own final : public Attested {
   public:
    explicit Own(const crypto::RsaPrivateKey& key) : key_(key), document_(key.public_key().spki()) {}
    ByteView document() const override { return document_; }
    Result<Secret> open(ByteView envelope) const override {
      crypto::SystemRng rng;
      return crypto::open_enveloped_data(envelope, key_, rng);
    }

   private:
    const crypto::RsaPrivateKey& key_;
    Bytes document_;
  };
  Result<std::unique_ptr<Attested>> attest() override {
    ++attested;
    return std::unique_ptr<Attested>(std::make_unique<Own>(key_));
  }
  int attested = 0;

 private:
  crypto::RsaPrivateKey key_ = crypto::RsaPrivateKey::generate(2048).value();
};

FakeKms::Answer for_recipient(const json::Value& body, std::string_view secret, json::Object answer = {{"KeyId", kArn}}) {
  const json::Value* recipient = body.find("Recipient");
  if (recipient == nullptr || *recipient->string_at("KeyEncryptionAlgorithm") != "RSAES_OAEP_SHA_256") return {http(400, R"({"__type":"ValidationException"})")};
  const auto key = crypto::RsaPublicKey::parse_spki(decode_base64(*recipient->string_at("AttestationDocument")).value());
  crypto::SystemRng rng;
  const auto envelope = crypto::encode_enveloped_data(*key, Secret::copy_of(as_bytes(secret)), rng);
  answer.set("CiphertextForRecipient", encode_base64(*envelope));
  return {http(200, json::encode(std::move(answer)))};
}

Client client_of(FakeKms& kms, std::shared_ptr<Recipient> recipient = nullptr, std::chrono::milliseconds timeout = 5s) {
  Client::Options options;
  options.region = "us-east-1";
  options.tls = false;
  options.connect = kms.connector();
  options.credentials = static_credentials({"ASIAEXAMPLE", Secret::copy_of(as_bytes("secret")), "token", {}});
  options.recipient = std::move(recipient);
  options.timeout = timeout;
  return Client::create(std::move(options)).value();
}

TEST(KmsClient, SignsWhatItSends) {
  std::string seen;
  json::Value body;
  FakeKms kms([&](const std::string& request, const json::Value& value) {
    seen = request;
    body = value;
    return FakeKms::Answer{plain_answer("abc")};
  });
  {
    const auto answer = client_of(kms).decrypt({Bytes{1, 2, 3}, "alias/k", {}, {{"a", "b"}}});
    ASSERT_THAT(answer, IsOk());
    EXPECT_EQ(as_text(answer->plaintext.expose()), "abc");
    EXPECT_EQ(answer->key_id, kArn);
  }
  EXPECT_THAT(seen, HasSubstr("POST / HTTP/1.1\r\nHost: kms.us-east-1.amazonaws.com"));
  EXPECT_THAT(seen, HasSubstr("X-Amz-Target: TrentService.Decrypt\r\n"));
  EXPECT_THAT(seen, HasSubstr("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/"));
  EXPECT_THAT(seen, Not(HasSubstr("secret")));
  EXPECT_EQ(json::encode(body), R"({"CiphertextBlob":"AQID","KeyId":"alias/k","EncryptionContext":{"a":"b"}})");
}

TEST(KmsClient, OpensWhatIsEncryptedToItsRecipient) {
  FakeKms kms([](const std::string& request, const json::Value& body) {
    if (request.find("GenerateDataKeyPair") != std::string::npos) {
      return for_recipient(body, "pkcs8", {{"KeyId", kArn}, {"PrivateKeyCiphertextBlob", "AQ=="}, {"PublicKey", "Ag=="}});
    }
    return for_recipient(body, "for the enclave", {{"KeyId", kArn}, {"CiphertextBlob", "AQID"}, {"Plaintext", ""}});
  });
  auto recipient = std::make_shared<OwnRecipient>();
  const Client client = client_of(kms, recipient);
  const auto decrypted = client.decrypt({Bytes{1}, {}, {}, {}});
  ASSERT_THAT(decrypted, IsOk());
  EXPECT_EQ(as_text(decrypted->plaintext.expose()), "for the enclave");
  const auto key = client.generate_data_key({"alias/k", "AES_256", 0, {}});
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->ciphertext, (Bytes{1, 2, 3}));
  EXPECT_THAT(client.generate_random(32), IsOk());
  const auto pair = client.generate_data_key_pair({"alias/k", "ECC_NIST_P256", {}});
  ASSERT_THAT(pair, IsOk());
  EXPECT_EQ(as_text(pair->private_key.expose()), "pkcs8");
  EXPECT_EQ(recipient->attested, 4);
  EXPECT_EQ(kms.connections, 1) << "connections are used again";
}

TEST(KmsClient, NeverTakesABarePlaintextForAnAttestedOne) {
  FakeKms kms([](const std::string&, const json::Value&) { return FakeKms::Answer{plain_answer("bare")}; });
  EXPECT_THAT(client_of(kms, std::make_shared<OwnRecipient>()).decrypt({Bytes{1}, {}, {}, {}}),
              IsError(ErrorCode::kUntrusted, HasSubstr("bare Plaintext")));
  FakeKms none([](const std::string&, const json::Value&) { return FakeKms::Answer{http(200, R"({"KeyId":"x"})")}; });
  EXPECT_THAT(client_of(none, std::make_shared<OwnRecipient>()).decrypt({Bytes{1}, {}, {}, {}}),
              IsError(ErrorCode::kMalformed, HasSubstr("without CiphertextForRecipient")));
}

TEST(KmsClient, RefusesWhatIsEncryptedToAnotherKey) {
  const auto other = crypto::RsaPrivateKey::generate(2048);
  FakeKms kms([&](const std::string&, const json::Value&) {
    crypto::SystemRng rng;
    const auto envelope = crypto::encode_enveloped_data(other->public_key(), Secret::copy_of(as_bytes("x")), rng);
    return FakeKms::Answer{http(200, json::encode(json::Object{{"KeyId", kArn}, {"CiphertextForRecipient", encode_base64(*envelope)}}))};
  });
  EXPECT_THAT(client_of(kms, std::make_shared<OwnRecipient>()).decrypt({Bytes{1}, {}, {}, {}}), IsError(ErrorCode::kUntrusted));
}

TEST(KmsClient, GivesKmssOwnWordsForADenial) {
  FakeKms kms([](const std::string&, const json::Value&) {
    return FakeKms::Answer{http(400, R"({"__type":"AccessDeniedException","Message":"User: arn:x is not authorized to perform: kms:Decrypt\n"})")};
  });
  EXPECT_THAT(client_of(kms).decrypt({Bytes{1}, {}, {}, {}}),
              IsError(ErrorCode::kDenied, "KMS Decrypt: AccessDeniedException: User: arn:x is not authorized to perform: kms:Decrypt "));
  EXPECT_EQ(kms.requests, 1) << "a denial is not tried again";
}

TEST(KmsClient, MapsErrorTypes) {
  std::string type;
  FakeKms kms([&](const std::string&, const json::Value&) { return FakeKms::Answer{http(400, fmt::format(R"({{"__type":"ns#{}"}})", type))}; });
  const Client client = client_of(kms);
  const std::pair<const char*, ErrorCode> cases[] = {{"NotFoundException", ErrorCode::kNotFound},
                                                     {"DisabledException", ErrorCode::kConflict},
                                                     {"InvalidCiphertextException", ErrorCode::kMalformed},
                                                     {"ExpiredTokenException", ErrorCode::kDenied},
                                                     {"LimitExceededException", ErrorCode::kLimit}};
  for (const auto& [name, code] : cases) {
    type = name;
    EXPECT_THAT(client.generate_random(1), IsError(code, std::string("KMS GenerateRandom: ") + name));
  }
}

TEST(KmsClient, TriesFaultsAgainAndGivesUpInTheEnd) {
  FakeKms kms([&](const std::string&, const json::Value&) {
    return FakeKms::Answer{kms.requests < 3 ? http(kms.requests == 1 ? 500 : 400, R"({"__type":"ThrottlingException","message":"slow down"})")
                                            : plain_answer("x")};
  });
  EXPECT_THAT(client_of(kms).decrypt({Bytes{1}, {}, {}, {}}), IsOk());
  EXPECT_EQ(kms.requests, 3);

  FakeKms down([](const std::string&, const json::Value&) { return FakeKms::Answer{http(503, "<html>")}; });
  EXPECT_THAT(client_of(down).decrypt({Bytes{1}, {}, {}, {}}), IsError(ErrorCode::kUnavailable, "KMS Decrypt: HTTP status 503 without an error type"));
  EXPECT_EQ(down.requests, 3);
}

TEST(KmsClient, SurvivesAConnectionThatTheServiceClosed) {
  FakeKms kms([](const std::string&, const json::Value&) { return FakeKms::Answer{plain_answer("x"), true}; });
  const Client client = client_of(kms);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(client.decrypt({Bytes{1}, {}, {}, {}}), IsOk());
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(kms.requests, 3);
}

TEST(KmsClient, EndsInTimeWhenNobodyAnswers) {
  Client::Options options;
  options.region = "us-east-1";
  options.tls = false;
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const UniqueFd silent(fds[1]);
  options.connect = [fd = fds[0]](std::chrono::milliseconds) -> Result<UniqueFd> { return UniqueFd(::dup(fd)); };
  const UniqueFd ours(fds[0]);
  options.credentials = static_credentials({"A", Secret::copy_of(as_bytes("s")), "", {}});
  options.timeout = 100ms;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Client::create(std::move(options))->generate_random(1), IsError(ErrorCode::kUnavailable, HasSubstr("in time")));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST(KmsClient, NamesTheProxyThatIsMissing) {
  Client::Options options;
  options.region = "us-east-1";
  options.tls = false;
  options.connect = [](std::chrono::milliseconds) -> Result<UniqueFd> { return unavailable("vsock-proxy: nothing listens there"); };
  options.credentials = static_credentials({"A", Secret::copy_of(as_bytes("s")), "", {}});
  EXPECT_THAT(Client::create(std::move(options))->generate_random(1),
              IsError(ErrorCode::kUnavailable, "KMS GenerateRandom: vsock-proxy: nothing listens there"));
}

TEST(EndpointHost, KnowsPartitionsAndRefusesTricks) {
  EXPECT_THAT(endpoint_host("us-east-1"), IsOkAnd("kms.us-east-1.amazonaws.com"));
  EXPECT_THAT(endpoint_host("cn-north-1"), IsOkAnd("kms.cn-north-1.amazonaws.com.cn"));
  for (const char* region : {"", "evil.com/", "us-east-1.evil.com#", "a b", "US-EAST-1", "x\r\nHost: y"}) {
    EXPECT_THAT(endpoint_host(region), IsError(ErrorCode::kMalformed)) << region;
  }
}

}  // namespace
}  // namespace casemate::kms
