// SPDX-License-Identifier: Apache-2.0
#include "casemate/credentials.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

#include "base/secret.h"
#include "base/time_text.h"
#include "casemate/vsock.h"
#include "json/value.h"
#include "sdk/src/stream.h"

namespace casemate {
namespace {

constexpr std::size_t kMostBytes = 64 * 1024;
constexpr std::size_t kLongestMessage = 512;

class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials)
      : credentials_(std::make_shared<const Credentials>(std::move(credentials))) {}
  Result<std::shared_ptr<const Credentials>> get(std::chrono::milliseconds) override { return credentials_; }

 private:
  std::shared_ptr<const Credentials> credentials_;
};

class RenewedCredentials final : public CredentialsProvider {
 public:
  RenewedCredentials(FetchCredentials fetch, RenewalOptions options) : fetch_(std::move(fetch)), options_(std::move(options)) {}

  Result<std::shared_ptr<const Credentials>> get(std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    // In seconds: nanoseconds, which the system's clock counts in, end in the year 2262.
    const auto now = options_.now ? options_.now() : std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    if (kept_ && now < renew_at_) return kept_;
    const bool usable = kept_ && (!kept_->expires || now < *kept_->expires);
    if (fetching_ && usable) return kept_;
    if (fetching_) {
      const bool done = fetched_.wait_for(lock, timeout, [&] { return !fetching_; });
      if (!done) return Error(ErrorCode::kUnavailable, "no credentials in time");
      if (kept_ && now < renew_at_) return kept_;
      if (last_error_) return *last_error_;
    }
    fetching_ = true;
    lock.unlock();
    auto fetched = fetch_(timeout);
    lock.lock();
    fetching_ = false;
    last_error_.reset();
    if (fetched) {
      kept_ = std::make_shared<const Credentials>(fetched.take());
      renew_at_ = kept_->expires ? *kept_->expires - options_.renew_before : now + options_.keep;
    } else {
      last_error_ = fetched.error();
    }
    fetched_.notify_all();
    // A failed renewal does no harm before the old ones end.
    if (last_error_ && !usable) return *last_error_;
    return kept_;
  }

 private:
  FetchCredentials fetch_;
  RenewalOptions options_;
  std::mutex mutex_;
  std::condition_variable fetched_;
  bool fetching_ = false;
  std::optional<Error> last_error_;
  std::shared_ptr<const Credentials> kept_;
  std::chrono::sys_seconds renew_at_;
};

Result<Credentials> fetch_over_vsock(std::uint32_t port, std::chrono::milliseconds timeout) {
  const sdk::Deadline deadline(timeout);
  const UniqueFd fd = TRY(vsock::connect({vsock::kParentCid, port}, timeout));
  std::string text;
  std::array<std::uint8_t, 4096> buffer{};
  // Growth would leave copies behind.
  text.reserve(kMostBytes + buffer.size());
  Result<Credentials> credentials = Error(ErrorCode::kUnavailable, "the parent closed the connection");
  for (;;) {
    const auto count = sdk::read_some(fd.get(), buffer, deadline);
    if (!count) credentials = count.error();
    if (!count || *count == 0) break;
    text += as_text(ByteView(buffer).first(*count));
    if (text.size() > kMostBytes) break;
  }
  if (!text.empty()) credentials = parse_credentials(text);
  zeroize(text.data(), text.size());
  zeroize(buffer.data(), buffer.size());
  return credentials;
}

}  // namespace

Result<Credentials> parse_credentials(std::string_view text) {
  json::Limits limits;
  limits.input_bytes = kMostBytes;
  limits.depth = 8;
  limits.values = 256;
  json::Value value = TRY(json::parse(text, limits));
  if (const std::string* error = value.string_at("error")) return unavailable("the parent says: {}", error->substr(0, kLongestMessage));
  if (const std::string* code = value.string_at("Code"); code != nullptr && *code != "Success") {
    return unavailable("the service says {}", code->substr(0, 64));
  }
  const std::string* id = value.string_at("AccessKeyId");
  const std::string* secret = value.string_at("SecretAccessKey");
  const std::string* token = value.string_at("Token");
  if (token == nullptr) token = value.string_at("SessionToken");
  if (id == nullptr || id->empty() || secret == nullptr || secret->empty()) return malformed("credentials: want AccessKeyId, SecretAccessKey and Token");
  const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
  // They become header fields.
  if (!std::all_of(id->begin(), id->end(), printable)) return malformed("credentials: AccessKeyId: character that no header has");
  if (token != nullptr && !std::all_of(token->begin(), token->end(), printable)) return malformed("credentials: Token: character that no header has");
  Credentials credentials;
  if (const std::string* expiration = value.string_at("Expiration")) {
    credentials.expires = std::chrono::floor<std::chrono::seconds>(TRY(parse_rfc3339(*expiration).in("credentials: Expiration")));
  }
  credentials.access_key_id = *id;
  credentials.secret_access_key = Secret::copy_of(as_bytes(*secret));
  if (token != nullptr) credentials.session_token = *token;
  if (std::string* held = value.object().find("SecretAccessKey")->if_string()) zeroize(held->data(), held->size());
  return credentials;
}

std::shared_ptr<CredentialsProvider> static_credentials(Credentials credentials) {
  return std::make_shared<StaticCredentials>(std::move(credentials));
}

std::shared_ptr<CredentialsProvider> renewed_credentials(FetchCredentials fetch, RenewalOptions options) {
  return std::make_shared<RenewedCredentials>(std::move(fetch), std::move(options));
}

std::shared_ptr<CredentialsProvider> renewed_credentials(FetchCredentials fetch) {
  return renewed_credentials(std::move(fetch), {});
}

std::shared_ptr<CredentialsProvider> vsock_credentials(std::uint32_t port, RenewalOptions options) {
  return renewed_credentials(
      [port](std::chrono::milliseconds timeout) { return fetch_over_vsock(port, timeout).in("the parent's credentials server"); }, std::move(options));
}

}  // namespace casemate
