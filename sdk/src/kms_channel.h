// SPDX-License-Identifier: Apache-2.0
// KmsChannel: signed requests to one KMS endpoint, over connections that are kept for the next.
#pragma once

#include <mutex>

#include "base/clock.h"
#include "casemate/kms.h"
#include "sdk/src/http_client.h"
#include "sdk/src/tls.h"

namespace casemate::sdk {

class KmsChannel {
 public:
  struct Options {
    std::string region;
    std::string host;  // empty: the region's own
    std::uint16_t port = 443;
    bool tls = true;
    std::string ca_file;  // empty: find_trust_store()
    kms::Connector connect;
    Now now;
  };

  // Errors: kMalformed (region), kNotFound (no trusted certificates).
  static Result<std::shared_ptr<KmsChannel>> create(Options options);

  // Repeat says whether a request that a kept connection swallowed without a byte of answer is sent again on a new one.
  enum class Repeat { kNo, kYes };

  // send makes one attempt and returns the service's answer, whatever its status. The target is the whole X-Amz-Target.
  // The body is taken, sent and zeroed. Errors: kUnavailable, kUntrusted (TLS), kMalformed and kLimit (the answer).
  Result<http::Response> send(std::string_view target, std::string body, const Credentials& credentials, Repeat repeat, const Deadline& deadline);

  const std::string& region() const { return options_.region; }

 private:
  explicit KmsChannel(Options options) : options_(std::move(options)) {}
  std::unique_ptr<Stream> take_idle();
  void keep(std::unique_ptr<Stream> stream);
  Result<std::unique_ptr<Stream>> connect(const Deadline& deadline) const;
  Result<http::Response> exchange(const http::Request& request, Repeat repeat, const Deadline& deadline);
  http::Response finish(std::unique_ptr<Stream> stream, Exchange result);

  Options options_;
  std::shared_ptr<const TlsContext> tls_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Stream>> idle_;
};

// jittered_backoff is half to all of `whole`, so that clients that failed together do not come back together.
std::chrono::milliseconds jittered_backoff(std::chrono::milliseconds whole);

}  // namespace casemate::sdk
