// SPDX-License-Identifier: Apache-2.0
#include "sdk/kms-proxy/service.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/secret.h"
#include "base/text.h"
#include "json/value.h"
#include "sigv4/sigv4.h"

namespace casemate::kms_proxy {
namespace {

constexpr std::string_view kTargetPrefix = "TrentService.";
constexpr std::size_t kLongestOperation = 64;

struct Attestable {
  std::string_view operation;
  std::string_view member;
};
constexpr Attestable kAttestable[] = {
    {"Decrypt", "Plaintext"},
    {"GenerateDataKey", "Plaintext"},
    {"GenerateDataKeyPair", "PrivateKeyPlaintext"},
    {"GenerateRandom", "Plaintext"},
    {"DeriveSharedSecret", "SharedSecret"},
};

http::Response json_response(unsigned status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/x-amz-json-1.1");
  response.body = std::move(body);
  return response;
}

http::Response error_response(unsigned status, std::string_view type, std::string_view message) {
  return json_response(status, json::encode(json::Object{{"__type", type}, {"message", message}}));
}

http::Response error_response(const Error& error) {
  const std::string message = "casemate-kms-proxy: " + error.message();
  switch (error.code()) {
    // SDKs try these again.
    case ErrorCode::kUnavailable: return error_response(503, "DependencyTimeoutException", message);
    case ErrorCode::kMalformed:
    case ErrorCode::kLimit: return error_response(400, "ValidationException", message);
    // Names of ours: no caller mistakes them for the service's verdict.
    case ErrorCode::kUntrusted: return error_response(400, "ProxyUntrustedException", message);
    default: return error_response(400, "ProxyException", message);
  }
}

// What a web page or a rebound name in reach of a fetch inside the enclave would send instead.
bool loopback_host(std::string_view host) {
  if (const auto colon = host.rfind(':'); colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) host = host.substr(0, colon);
  return host == "127.0.0.1" || host == "[::1]" || equal_ignoring_case(host, "localhost");
}

// operation_of checks what identifies a KMS request. Errors: kMalformed.
Result<std::string_view> operation_of(const http::Request& request) {
  const std::string* host = request.headers.find("Host");
  if (host == nullptr || !loopback_host(*host)) return malformed("Host: not this machine's loopback");
  if (request.method != "POST" || request.path() != "/") return malformed("want POST /, as AWS SDKs send");
  const std::string* target = request.headers.find("X-Amz-Target");
  if (target == nullptr || !target->starts_with(kTargetPrefix)) return malformed("X-Amz-Target: not KMS's (TrentService)");
  const std::string_view operation = std::string_view(*target).substr(kTargetPrefix.size());
  const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (operation.empty() || operation.size() > kLongestOperation || !std::all_of(operation.begin(), operation.end(), letter)) {
    return malformed("X-Amz-Target: operation: want at most {} letters", kLongestOperation);
  }
  return operation;
}

http::Response passed_on(http::Response answer) {
  http::Response out;
  out.status = answer.status;
  for (const std::string_view name : {"Content-Type", "x-amzn-RequestId", "x-amzn-ErrorType", "Date"}) {
    if (const std::string* value = answer.headers.find(name)) out.headers.add(name, *value);
  }
  out.body = std::move(answer.body);
  return out;
}

void wipe(std::string& text) {
  zeroize(text.data(), text.size());
}

}  // namespace

std::string_view secret_member(std::string_view operation) {
  const auto* it = std::find_if(std::begin(kAttestable), std::end(kAttestable), [&](const Attestable& each) { return each.operation == operation; });
  return it == std::end(kAttestable) ? std::string_view{} : it->member;
}

std::string scope_region(std::string_view authorization) {
  const auto parsed = sigv4::parse_authorization(authorization);
  const auto* header = std::get_if<sigv4::Authorization>(&parsed);
  if (header == nullptr) return {};
  // ID/DATE/REGION/SERVICE/aws4_request, from the end: an access key id may hold slashes.
  std::string_view rest = header->credential;
  std::string_view parts[4];
  for (auto& part : parts) {
    const auto slash = rest.rfind('/');
    if (slash == std::string_view::npos) return {};
    part = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  return std::string(parts[2]);
}

Result<std::optional<std::string>> attested_body(std::string_view body, ByteView document) {
  json::Value value = TRY(json::parse(body.empty() ? "{}" : body));
  json::Object* object = value.if_object();
  if (object == nullptr) return malformed("body: {}, want an object", value.type_name());
  if (object->find("Recipient") != nullptr) return std::optional<std::string>{};
  object->set("Recipient", json::Object{{"KeyEncryptionAlgorithm", "RSAES_OAEP_SHA_256"}, {"AttestationDocument", encode_base64(document)}});
  return std::optional(json::encode(value));
}

Result<std::string> opened_body(std::string_view body, std::string_view member, const kms::Recipient::Attested& attested) {
  json::Value value = TRY(json::parse(body));
  json::Object* object = value.if_object();
  if (object == nullptr) return malformed("response: {}, want an object", value.type_name());
  if (const json::Value* plain = object->find(member); plain != nullptr && !plain->is_null()) {
    return untrusted("response with a bare {} to an attested request", member);
  }
  object->erase(member);
  const std::string* envelope = value.string_at("CiphertextForRecipient");
  if (envelope == nullptr) return malformed("response without CiphertextForRecipient");
  const Secret plaintext = TRY(attested.open(TRY(decode_base64(*envelope).in("CiphertextForRecipient"))));
  object->erase("CiphertextForRecipient");
  // Written behind the encoded rest, so that the text exists once.
  std::string out = json::encode(value);
  std::string text = encode_base64(plaintext.expose());
  out.reserve(out.size() + member.size() + text.size() + 8);
  out.pop_back();
  if (!object->empty()) out += ',';
  out += '"';
  out += member;
  out += "\":\"";
  out += text;
  out += "\"}";
  wipe(text);
  return out;
}

Result<std::shared_ptr<sdk::KmsChannel>> Service::channel(const std::string& region) {
  const std::scoped_lock lock(mutex_);
  if (const auto it = channels_.find(region); it != channels_.end()) return it->second;
  auto made = TRY(sdk::KmsChannel::create({region, options_.host, options_.port, options_.tls, options_.ca_file, options_.connect, options_.now}));
  if (channels_.size() == kMostRegions) channels_.clear();
  channels_.emplace(region, made);
  return made;
}

Result<http::Response> Service::forward(const http::Request& request, std::string_view operation) {
  const sdk::Deadline deadline(options_.timeout);
  const std::string* authorization = request.headers.find("Authorization");
  const std::string asked = authorization == nullptr ? std::string() : scope_region(*authorization);
  const std::string& region = options_.region.empty() ? asked : options_.region;
  if (region.empty()) return malformed("no region: give --region, or sign for one");
  if (!asked.empty() && asked != region) return malformed("the request is for region {}, this proxy leads to {}", asked.substr(0, 32), region);
  const auto way = TRY(channel(region));

  std::string body = request.body;
  const std::string_view member = secret_member(operation);
  std::unique_ptr<kms::Recipient::Attested> attested;
  if (!member.empty()) {
    attested = TRY(options_.recipient->attest());
    auto with_recipient = attested_body(body, attested->document());
    wipe(body);
    if (auto text = TRY(std::move(with_recipient))) {
      body = std::move(*text);
    } else {
      attested.reset();
      body = request.body;
    }
  }
  const auto credentials = options_.credentials->get(deadline.left()).in("credentials");
  if (!credentials) {
    wipe(body);
    // The parent may bring them up later; whatever it was, another try may succeed.
    return unavailable("{}", credentials.error().message());
  }
  http::Response answer = TRY(way->send(fmt::format("{}{}", kTargetPrefix, operation), std::move(body), **credentials,
                                        member.empty() ? sdk::KmsChannel::Repeat::kNo : sdk::KmsChannel::Repeat::kYes, deadline));
  http::Response out = passed_on(std::move(answer));
  if (attested && out.status == 200) {
    auto opened = opened_body(out.body, member, *attested);
    wipe(out.body);
    out.body = TRY(std::move(opened));
  }
  return out;
}

http::Response Service::handle(const http::Request& request) {
  const auto operation = operation_of(request);
  if (!operation) return error_response(400, "UnknownOperationException", "casemate-kms-proxy: " + operation.error().message());
  auto answer = forward(request, *operation);
  if (!answer) return error_response(Error(answer.error()).in(fmt::format("KMS {}", *operation)));
  return answer.take();
}

}  // namespace casemate::kms_proxy
