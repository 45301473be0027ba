// SPDX-License-Identifier: Apache-2.0
// Service: the key service on the wire (awsJson 1.1). From a request that any client of KMS would send to the answer
// that KMS would give, with every call in the audit log.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/trust.h"
#include "attestation/verify.h"
#include "audit/trail.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/message.h"
#include "iam/caller.h"
#include "kms/api/quota.h"
#include "kms/keyring.h"

namespace casemate::kms::api {

struct ServiceOptions {
  std::vector<std::string> regions{"us-east-1"};
  // Roots that may vouch for a recipient.
  attestation::TrustAnchors trust;
  // How old an attestation document may be, and how far ahead of our clock.
  std::chrono::milliseconds document_age = std::chrono::minutes{5};
  std::chrono::milliseconds document_ahead = std::chrono::minutes{5};
  std::chrono::seconds signature_skew{300};
  // Calls a second; none are limited unless named here.
  std::vector<Quota> quotas;
  // Whether a principal that a key policy names exists; those of foreign accounts are not asked for.
  std::function<bool(const iam::PrincipalName&)> principal_exists = [](const iam::PrincipalName&) { return true; };
};

// ServiceParts must outlive the service.
struct ServiceParts {
  Keyring& keyring;
  iam::CredentialSource& credentials;
  audit::Trail& audit;
  const Clock& clock;
  Rng& rng;
  Log log;
};

class Service {
 public:
  Service(ServiceParts parts, ServiceOptions options);
  ~Service();

  // handle may be called by several threads at once. It blocks on the disk for operations that change something.
  // Whoever holds the request clears its body.
  http::Response handle(const http::Request& request);

  // hold does what handle does for a call that answers_quickly names, but keeps the answer: settle writes the events of all
  // kept answers at once and then gives each to its `done`. For one thread that has several calls at a time. What is
  // never settled is never answered.
  using Done = std::function<void(http::Response)>;
  void hold(const http::Request& request, Done done);
  void settle();

  // answers_quickly: whether handle would neither wait for the disk nor compute for long. What it says of a request is
  // about its operation alone.
  static bool answers_quickly(const http::Request& request);

  // metrics is the exposition text of Prometheus.
  std::string metrics() const;

  // is_target: whether the request names an operation of KMS (its X-Amz-Target), for those who tell services apart.
  static bool is_target(const http::Request& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace casemate::kms::api
