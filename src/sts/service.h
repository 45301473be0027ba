// SPDX-License-Identifier: Apache-2.0
// Service: STS on the wire (query protocol, version 2011-06-15): GetCallerIdentity and AssumeRole.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/log.h"
#include "http/message.h"
#include "json/value.h"
#include "sts/directory.h"

namespace casemate::sts {

struct ServiceOptions {
  std::vector<std::string> regions{"us-east-1"};
  std::chrono::seconds signature_skew{300};
};

class Service {
 public:
  // Audit takes an event and writes it before the answer leaves; if it cannot, the call fails.
  using Audit = std::function<Result<void>(json::Object event)>;

  // The directory, the clock and the generator must outlive the service.
  Service(Directory& directory, Audit audit, const Clock& clock, Rng& rng, Log log, ServiceOptions options)
      : directory_(directory),
        audit_(std::move(audit)),
        clock_(clock),
        rng_(rng),
        log_(std::move(log)),
        options_(std::move(options)) {}

  // handle may be called by several threads at once.
  http::Response handle(const http::Request& request);

 private:
  struct Answer;
  struct Parameters;
  Answer run(const Parameters& parameters, const iam::Caller& caller, const http::Request& request, WallTime now);
  Answer assume_role(const Parameters& parameters, const iam::Caller& caller, const http::Request& request,
                     WallTime now);

  Directory& directory_;
  Audit audit_;
  const Clock& clock_;
  Rng& rng_;
  Log log_;
  ServiceOptions options_;
};

}  // namespace casemate::sts
