// SPDX-License-Identifier: Apache-2.0
#include "casemate/kms.h"

#include <algorithm>
#include <thread>

#include "base/encoding.h"
#include "base/secret.h"
#include "casemate/vsock.h"
#include "json/value.h"
#include "sdk/src/kms_channel.h"

namespace casemate::kms {
namespace {

using sdk::Deadline;

constexpr std::chrono::milliseconds kFirstBackoff{50};
// Error texts come from the network and end up in logs.
constexpr std::size_t kLongestMessage = 2048;

bool one_of(std::string_view value, std::initializer_list<std::string_view> set) {
  return std::find(set.begin(), set.end(), value) != set.end();
}

ErrorCode code_of(std::string_view type, unsigned status) {
  if (one_of(type, {"AccessDeniedException", "NotAuthorizedException", "UnrecognizedClientException",
                    "InvalidSignatureException", "SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredTokenException",
                    "IncompleteSignatureException", "MissingAuthenticationTokenException"})) {
    return ErrorCode::kDenied;
  }
  if (type == "NotFoundException") return ErrorCode::kNotFound;
  if (one_of(type, {"DisabledException", "KMSInvalidStateException", "ConflictException"})) return ErrorCode::kConflict;
  if (type == "LimitExceededException") return ErrorCode::kLimit;
  if (status == 429 || status >= 500 ||
      one_of(type, {"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException",
                    "KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException",
                    "ServiceUnavailableException", "InternalFailure"})) {
    return ErrorCode::kUnavailable;
  }
  return ErrorCode::kMalformed;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kLongestMessage));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

// service_error reads KMS's error body: `__type`, with a shape prefix on some services, and `message` or `Message`.
Error service_error(const http::Response& response) {
  std::string type;
  std::string message;
  if (const auto body = json::parse(response.body); body) {
    if (const std::string* text = body->string_at("__type")) type = text->substr(text->rfind('#') + 1);
    const std::string* text = body->string_at("message");
    if (text == nullptr) text = body->string_at("Message");
    if (text != nullptr) message = *text;
  }
  if (type.empty()) return {code_of({}, response.status), fmt::format("HTTP status {} without an error type", response.status)};
  std::string out = printable(type);
  if (!message.empty()) out += ": " + printable(message);
  return {code_of(type, response.status), std::move(out)};
}

json::Object context_object(const Client::EncryptionContext& context) {
  json::Object out;
  for (const auto& [name, value] : context) out.set(name, value);
  return out;
}

// Answer is a successful response's members; texts that may hold plaintext are wiped.
class Answer {
 public:
  explicit Answer(json::Value value, std::unique_ptr<Recipient::Attested> attested)
      : value_(std::move(value)), attested_(std::move(attested)) {}

  Result<std::string> text(std::string_view name) const {
    const std::string* text = value_.string_at(name);
    if (text == nullptr) return malformed("response without {}", name);
    return *text;
  }

  Result<Bytes> blob(std::string_view name) const { return TRY(decode_base64(TRY(text(name))).in(name)); }

  // secret is the member for ordinary requests, CiphertextForRecipient for attested ones, and never the one for the other.
  Result<Secret> secret(std::string_view name) {
    json::Value* member = value_.if_object() == nullptr ? nullptr : value_.object().find(name);
    std::string* plain = member == nullptr ? nullptr : member->if_string();
    if (attested_) {
      if (plain != nullptr && !plain->empty()) {
        zeroize(plain->data(), plain->size());
        return untrusted("response with a bare {} to an attested request", name);
      }
      return attested_->open(TRY(blob("CiphertextForRecipient")));
    }
    if (plain == nullptr) return malformed("response without {}", name);
    auto bytes = decode_base64(*plain);
    zeroize(plain->data(), plain->size());
    return Secret(TRY(std::move(bytes).in(name)));
  }

 private:
  json::Value value_;
  std::unique_ptr<Recipient::Attested> attested_;
};

enum class UseRecipient { kNo, kYes };

}  // namespace

struct Client::State {
  Options options;
  std::shared_ptr<sdk::KmsChannel> channel;

  Result<Answer> attempt(std::string_view operation, json::Object body, UseRecipient use,
                         const std::shared_ptr<CredentialsProvider>& provider, const Deadline& deadline) {
    std::unique_ptr<Recipient::Attested> attested;
    if (use == UseRecipient::kYes && options.recipient) {
      attested = TRY(options.recipient->attest());
      body.set("Recipient", json::Object{{"KeyEncryptionAlgorithm", "RSAES_OAEP_SHA_256"},
                                         {"AttestationDocument", encode_base64(attested->document())}});
    }
    const auto credentials = TRY(provider->get(deadline.left()).in("credentials"));

    http::Response answer = TRY(channel->send(fmt::format("TrentService.{}", operation), json::encode(std::move(body)), *credentials,
                                              sdk::KmsChannel::Repeat::kYes, deadline));
    if (answer.status != 200) return service_error(answer);
    auto value = json::parse(answer.body);
    zeroize(answer.body.data(), answer.body.size());
    return Answer(TRY(std::move(value)), std::move(attested));
  }

  Result<Answer> call(std::string_view operation, const json::Object& body, UseRecipient use,
                      const std::shared_ptr<CredentialsProvider>& provider) {
    const Deadline deadline(options.timeout);
    const std::string step = fmt::format("KMS {}", operation);
    std::chrono::milliseconds backoff = kFirstBackoff;
    for (unsigned attempts = 1;; ++attempts) {
      auto answer = attempt(operation, body, use, provider, deadline);
      if (answer || answer.error().code() != ErrorCode::kUnavailable || attempts >= options.attempts) return std::move(answer).in(step);
      const auto wait = sdk::jittered_backoff(backoff);
      if (wait >= deadline.left()) return std::move(answer).in(step);
      std::this_thread::sleep_for(wait);
      backoff *= 2;
    }
  }
};

Connector vsock_connector(std::uint32_t proxy_port) {
  return [proxy_port](std::chrono::milliseconds timeout) -> Result<UniqueFd> {
    return vsock::connect({vsock::kParentCid, proxy_port}, timeout).in("vsock-proxy");
  };
}

Result<std::string> endpoint_host(std::string_view region) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (region.empty() || region.size() > 32 || !std::all_of(region.begin(), region.end(), fits)) {
    return malformed("region: {} characters, want a name such as us-east-1", region.size());
  }
  const std::pair<std::string_view, std::string_view> partitions[] = {
      {"cn-", "amazonaws.com.cn"},    {"eusc-", "amazonaws.eu"},          {"us-iso-", "c2s.ic.gov"},
      {"us-isob-", "sc2s.sgov.gov"},  {"eu-isoe-", "cloud.adc-e.uk"},     {"us-isof-", "csp.hci.ic.gov"},
  };
  std::string_view suffix = "amazonaws.com";
  for (const auto& [prefix, name] : partitions) {
    if (region.starts_with(prefix)) suffix = name;
  }
  return fmt::format("kms.{}.{}", region, suffix);
}

Result<Client> Client::create(Options options) {
  CASEMATE_CHECK(options.credentials != nullptr);
  auto state = std::make_shared<State>();
  state->channel = TRY(sdk::KmsChannel::create({options.region, options.host, options.port, options.tls, options.ca_file, options.connect, options.now}));
  auto credentials = options.credentials;
  state->options = std::move(options);
  return Client(std::move(state), std::move(credentials));
}

Client Client::with_credentials(std::shared_ptr<CredentialsProvider> credentials) const {
  return Client(state_, std::move(credentials));
}

Result<Client::Decrypted> Client::decrypt(const Decrypt& request) const {
  json::Object body{{"CiphertextBlob", encode_base64(request.ciphertext)}};
  if (!request.key_id.empty()) body.set("KeyId", request.key_id);
  if (!request.encryption_algorithm.empty()) body.set("EncryptionAlgorithm", request.encryption_algorithm);
  if (!request.encryption_context.empty()) body.set("EncryptionContext", context_object(request.encryption_context));
  Answer answer = TRY(state_->call("Decrypt", body, UseRecipient::kYes, credentials_));
  // Locals, here and below: a return out of a half-built aggregate would leak its members.
  std::string key_id = TRY(answer.text("KeyId").in("KMS Decrypt"));
  Secret plaintext = TRY(answer.secret("Plaintext").in("KMS Decrypt"));
  return Decrypted{std::move(plaintext), std::move(key_id)};
}

Result<Client::DataKey> Client::generate_data_key(const GenerateDataKey& request) const {
  constexpr std::string_view step = "KMS GenerateDataKey";
  json::Object body{{"KeyId", request.key_id}};
  if (request.number_of_bytes != 0) {
    body.set("NumberOfBytes", request.number_of_bytes);
  } else {
    body.set("KeySpec", request.key_spec);
  }
  if (!request.encryption_context.empty()) body.set("EncryptionContext", context_object(request.encryption_context));
  Answer answer = TRY(state_->call("GenerateDataKey", body, UseRecipient::kYes, credentials_));
  Bytes ciphertext = TRY(answer.blob("CiphertextBlob").in(step));
  std::string key_id = TRY(answer.text("KeyId").in(step));
  Secret plaintext = TRY(answer.secret("Plaintext").in(step));
  return DataKey{std::move(plaintext), std::move(ciphertext), std::move(key_id)};
}

Result<Bytes> Client::sign(const Sign& request) const {
  const json::Object body{{"KeyId", request.key_id}, {"Message", encode_base64(request.digest)}, {"MessageType", "DIGEST"},
                          {"SigningAlgorithm", request.signing_algorithm}};
  const Answer answer = TRY(state_->call("Sign", body, UseRecipient::kNo, credentials_));
  return answer.blob("Signature").in("KMS Sign");
}

Result<Client::PublicKey> Client::get_public_key(const std::string& key_id) const {
  constexpr std::string_view step = "KMS GetPublicKey";
  const Answer answer = TRY(state_->call("GetPublicKey", json::Object{{"KeyId", key_id}}, UseRecipient::kNo, credentials_));
  PublicKey out;
  out.public_key = TRY(answer.blob("PublicKey").in(step));
  out.key_id = TRY(answer.text("KeyId").in(step));
  out.key_spec = TRY(answer.text("KeySpec").in(step));
  out.key_usage = TRY(answer.text("KeyUsage").in(step));
  return out;
}

Result<Client::DataKeyPair> Client::generate_data_key_pair(const GenerateDataKeyPair& request) const {
  constexpr std::string_view step = "KMS GenerateDataKeyPair";
  json::Object body{{"KeyId", request.key_id}, {"KeyPairSpec", request.key_pair_spec}};
  if (!request.encryption_context.empty()) body.set("EncryptionContext", context_object(request.encryption_context));
  Answer answer = TRY(state_->call("GenerateDataKeyPair", body, UseRecipient::kYes, credentials_));
  Bytes ciphertext = TRY(answer.blob("PrivateKeyCiphertextBlob").in(step));
  Bytes public_key = TRY(answer.blob("PublicKey").in(step));
  std::string key_id = TRY(answer.text("KeyId").in(step));
  Secret private_key = TRY(answer.secret("PrivateKeyPlaintext").in(step));
  return DataKeyPair{std::move(private_key), std::move(ciphertext), std::move(public_key), std::move(key_id)};
}

Result<Client::SharedSecret> Client::derive_shared_secret(const DeriveSharedSecret& request) const {
  constexpr std::string_view step = "KMS DeriveSharedSecret";
  const json::Object body{{"KeyId", request.key_id},
                          {"KeyAgreementAlgorithm", "ECDH"},
                          {"PublicKey", encode_base64(request.public_key)}};
  Answer answer = TRY(state_->call("DeriveSharedSecret", body, UseRecipient::kYes, credentials_));
  std::string key_id = TRY(answer.text("KeyId").in(step));
  Secret secret = TRY(answer.secret("SharedSecret").in(step));
  return SharedSecret{std::move(secret), std::move(key_id)};
}

Result<Secret> Client::generate_random(std::uint32_t number_of_bytes) const {
  const json::Object body{{"NumberOfBytes", number_of_bytes}};
  Answer answer = TRY(state_->call("GenerateRandom", body, UseRecipient::kYes, credentials_));
  return answer.secret("Plaintext").in("KMS GenerateRandom");
}

Result<Client::Encrypted> Client::encrypt(const Encrypt& request) const {
  json::Object body{{"KeyId", request.key_id}, {"Plaintext", encode_base64(request.plaintext.expose())}};
  if (!request.encryption_context.empty()) body.set("EncryptionContext", context_object(request.encryption_context));
  Answer answer = TRY(state_->call("Encrypt", body, UseRecipient::kNo, credentials_));
  Bytes ciphertext = TRY(answer.blob("CiphertextBlob").in("KMS Encrypt"));
  std::string key_id = TRY(answer.text("KeyId").in("KMS Encrypt"));
  return Encrypted{std::move(ciphertext), std::move(key_id)};
}

}  // namespace casemate::kms
