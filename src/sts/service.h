// SPDX-License-Identifier: Apache-2.0
// Service: STS on the wire (query protocol, version 2011-06-15): GetCallerIdentity, AssumeRole, GetSessionToken,
// GetFederationToken, GetAccessKeyInfo, DecodeAuthorizationMessage.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/log.h"
#include "http/message.h"
#include "identity/directory.h"
#include "json/value.h"

namespace casemate::sts {

struct ServiceOptions {
  std::vector<std::string> regions{"us-east-1"};
  std::chrono::seconds signature_skew{300};
  // The audit event of a request, for DecodeAuthorizationMessage: here the encoded message is the denied request's id.
  std::function<Result<json::Value>(std::string_view request_id)> find_event = [](std::string_view) {
    return Result<json::Value>(not_found("no audit log"));
  };
};

class Service {
 public:
  // Audit takes an event and writes it before the answer leaves; if it cannot, the call fails.
  using Audit = std::function<Result<void>(const json::Object& event)>;

  // The directory, the clock and the generator must outlive the service.
  Service(identity::Directory& directory, Audit audit, const Clock& clock, Rng& rng, Log log, ServiceOptions options)
      : directory_(directory),
        audit_(std::move(audit)),
        clock_(clock),
        rng_(rng),
        log_(std::move(log)),
        options_(std::move(options)) {}

  // handle may be called by several threads at once.
  http::Response handle(const http::Request& request);

 private:
  identity::Directory& directory_;
  Audit audit_;
  const Clock& clock_;
  Rng& rng_;
  Log log_;
  ServiceOptions options_;
};

}  // namespace casemate::sts
