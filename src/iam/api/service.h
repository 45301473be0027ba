// SPDX-License-Identifier: Apache-2.0
// Service: IAM on the wire (query protocol, version 2010-05-08): users, groups, roles, access keys, policies, instance
// profiles and their tags, as `aws iam` asks for them. Every call is authorized by the caller's identity policies.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/log.h"
#include "http/message.h"
#include "identity/directory.h"
#include "json/value.h"

namespace casemate::iam::api {

struct ServiceOptions {
  std::vector<std::string> regions{"us-east-1"};
  std::chrono::seconds signature_skew{300};
  // The newest audit event of an access key, for GetAccessKeyLastUsed. Errors: kNotFound (not used, as far as is known).
  std::function<Result<json::Value>(std::string_view access_key_id)> find_last_use = [](std::string_view) {
    return Result<json::Value>(not_found("no audit log"));
  };
  // Called before a user or role goes: policies elsewhere that name its ARN are to name its unique id from now on
  // (iam::pin_principal), so that a successor of the same name gets nothing by it. On failure it stays.
  std::function<Result<void>(std::string_view arn, std::string_view unique_id)> before_removal =
      [](std::string_view, std::string_view) { return Result<void>(); };
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

  // handle may be called by several threads at once. It blocks on the disk for operations that change something.
  http::Response handle(const http::Request& request);

 private:
  identity::Directory& directory_;
  Audit audit_;
  const Clock& clock_;
  Rng& rng_;
  Log log_;
  ServiceOptions options_;
};

}  // namespace casemate::iam::api
