// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/kms_channel.h"

#include "base/secret.h"
#include "crypto/rng.h"
#include "sigv4/sigv4.h"

namespace casemate::sdk {
namespace {

constexpr std::size_t kMostIdleConnections = 8;

}  // namespace

Result<std::shared_ptr<KmsChannel>> KmsChannel::create(Options options) {
  const std::string usual = TRY(kms::endpoint_host(options.region));
  if (options.host.empty()) options.host = usual;
  if (!options.connect) options.connect = kms::vsock_connector();
  std::shared_ptr<const TlsContext> tls;
  if (options.tls) {
    if (options.ca_file.empty()) options.ca_file = TRY(find_trust_store());
    tls = TRY(TlsContext::create(options.ca_file));
  }
  std::shared_ptr<KmsChannel> made(new KmsChannel(std::move(options)));
  made->tls_ = std::move(tls);
  return made;
}

Result<http::Response> KmsChannel::send(std::string_view target, std::string body, const Credentials& credentials, Repeat repeat,
                                        const Deadline& deadline) {
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.headers.add("Host", host_header(options_.host, options_.port, options_.tls ? 443 : 80));
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", target);
  request.body = std::move(body);
  request.headers.add("Content-Length", std::to_string(request.body.size()));
  request.headers.add("User-Agent", "casemate-sdk/0.1");
  const WallTime now = options_.now ? WallTime(options_.now()) : SystemClock().now();
  auto response = sigv4::sign(request, sigv4::Credentials{credentials.access_key_id, credentials.secret_access_key.clone(), credentials.session_token},
                              options_.region, "kms", now);
  auto answer = response ? exchange(request, repeat, deadline) : Result<http::Response>(std::move(response).error());
  zeroize(request.body.data(), request.body.size());
  return answer;
}

std::unique_ptr<Stream> KmsChannel::take_idle() {
  const std::scoped_lock lock(mutex_);
  while (!idle_.empty()) {
    auto stream = std::move(idle_.back());
    idle_.pop_back();
    if (stream->idle()) return stream;
  }
  return nullptr;
}

void KmsChannel::keep(std::unique_ptr<Stream> stream) {
  const std::scoped_lock lock(mutex_);
  if (idle_.size() < kMostIdleConnections) idle_.push_back(std::move(stream));
}

Result<std::unique_ptr<Stream>> KmsChannel::connect(const Deadline& deadline) const {
  UniqueFd fd = TRY(options_.connect(deadline.left()));
  if (!options_.tls) return std::unique_ptr<Stream>(std::make_unique<FdStream>(std::move(fd)));
  return tls_->connect(std::move(fd), options_.host, deadline);
}

Result<http::Response> KmsChannel::exchange(const http::Request& request, Repeat repeat, const Deadline& deadline) {
  Answered answered = Answered::kNothing;
  if (auto stream = take_idle()) {
    auto result = sdk::exchange(*stream, request, deadline, answered);
    if (result) return finish(std::move(stream), result.take());
    // The service may have closed it meanwhile.
    if (repeat == Repeat::kNo || answered == Answered::kSomething || result.error().code() != ErrorCode::kUnavailable) {
      return std::move(result).error();
    }
  }
  auto stream = TRY(connect(deadline));
  auto result = TRY(sdk::exchange(*stream, request, deadline, answered));
  return finish(std::move(stream), std::move(result));
}

http::Response KmsChannel::finish(std::unique_ptr<Stream> stream, Exchange result) {
  if (result.keep_alive) keep(std::move(stream));
  return std::move(result.response);
}

std::chrono::milliseconds jittered_backoff(std::chrono::milliseconds whole) {
  std::uint8_t random = 0;
  crypto::SystemRng().fill({&random, 1});
  return whole / 2 + whole * random / 512;
}

}  // namespace casemate::sdk
