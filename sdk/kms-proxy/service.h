// SPDX-License-Identifier: Apache-2.0
// What casemate-kms-proxy does with one request of an AWS SDK: signs it anew, attests the five operations that take a
// Recipient, opens CiphertextForRecipient and answers as KMS does without an enclave.
#pragma once

#include <map>
#include <mutex>

#include "casemate/kms.h"
#include "http/message.h"
#include "sdk/src/kms_channel.h"

namespace casemate::kms_proxy {

struct ServiceOptions {
  // Empty: what the client's credential scope names, so that any region works that the way out leads to.
  std::string region;
  std::string host;
  std::uint16_t port = 443;
  bool tls = true;
  std::string ca_file;
  kms::Connector connect;
  std::shared_ptr<CredentialsProvider> credentials;
  std::shared_ptr<kms::Recipient> recipient;
  std::chrono::milliseconds timeout{15'000};
  Now now = nullptr;
};

// secret_member is the response's member that an operation's plaintext is in, empty for an operation without Recipient.
std::string_view secret_member(std::string_view operation);

// scope_region is the region of a SigV4 Authorization header's credential scope, empty when there is none.
std::string scope_region(std::string_view authorization);

// attested_body adds the Recipient to a request's JSON object. nullopt: the caller brought a Recipient of its own. Errors:
// kMalformed, kLimit.
Result<std::optional<std::string>> attested_body(std::string_view body, ByteView document);

// opened_body turns the answer to an attested request into an ordinary one. Errors: kUntrusted (does not open, or came in
// the open), kMalformed.
Result<std::string> opened_body(std::string_view body, std::string_view member, const kms::Recipient::Attested& attested);

// Service may be used from several threads; handle() blocks.
class Service {
 public:
  explicit Service(ServiceOptions options) : options_(std::move(options)) {}

  // handle never fails: what goes wrong on the way is an answer in KMS's form. 503 is worth another try; what the service
  // itself answered is passed on as it is.
  http::Response handle(const http::Request& request);

 private:
  // Regions come from clients: this many channels at most.
  static constexpr std::size_t kMostRegions = 8;

  Result<http::Response> forward(const http::Request& request, std::string_view operation);
  Result<std::shared_ptr<sdk::KmsChannel>> channel(const std::string& region);

  ServiceOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<sdk::KmsChannel>> channels_;
};

}  // namespace casemate::kms_proxy
