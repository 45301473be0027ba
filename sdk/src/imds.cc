// SPDX-License-Identifier: Apache-2.0
// The instance metadata service: tokens of version 2, plain requests where the service knows none.
#include <algorithm>
#include <cstdlib>

#include "base/secret.h"
#include "casemate/parent.h"
#include "sdk/src/http_client.h"

namespace casemate::parent {
namespace {

using sdk::Deadline;

constexpr std::string_view kDefaultEndpoint = "http://169.254.169.254";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

class Metadata {
 public:
  Metadata(sdk::Url url, kms::Connector connect, std::chrono::milliseconds timeout)
      : url_(std::move(url)), connect_(std::move(connect)), deadline_(timeout) {}

  static Result<Metadata> open(const MetadataOptions& options, std::chrono::milliseconds timeout) {
    std::string endpoint = options.endpoint;
    if (endpoint.empty()) endpoint = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (endpoint.empty()) endpoint = kDefaultEndpoint;
    sdk::Url url = TRY(sdk::parse_url(endpoint));
    if (url.tls) return malformed("endpoint {}: want http://", endpoint);
    Metadata metadata(std::move(url), options.connect, timeout);
    TRY(metadata.get_token());
    return metadata;
  }

  Result<std::string> get(std::string_view path) {
    http::Response response = TRY(send("GET", path));
    if (response.status == 404) return not_found("{}: the instance has none", path);
    if (response.status != 200) return unavailable("{}: HTTP status {}", path, response.status);
    return std::move(response.body);
  }

 private:
  Result<void> get_token() {
    const http::Response response = TRY(send("PUT", "/latest/api/token"));
    if (response.status == 200) {
      if (response.body.empty() || response.body.find_first_of("\r\n") != std::string::npos) return malformed("token: not one line");
      token_ = response.body;
    } else if (response.status != 403 && response.status != 404 && response.status != 405) {
      return unavailable("token: HTTP status {}", response.status);
    }
    return {};
  }

  Result<http::Response> send(std::string_view method, std::string_view path) {
    http::Request request;
    request.method = method;
    request.target = url_.path + std::string(path);
    request.headers.add("Host", url_.authority());
    request.headers.add("Connection", "close");
    if (method == "PUT") {
      request.headers.add("X-aws-ec2-metadata-token-ttl-seconds", "21600");
      request.headers.add("Content-Length", "0");
    } else if (!token_.empty()) {
      request.headers.add("X-aws-ec2-metadata-token", token_);
    }
    sdk::FdStream stream(connect_ ? TRY(connect_(deadline_.left())) : TRY(sdk::connect_tcp(url_.host, url_.port, deadline_)));
    sdk::Answered answered{};
    return TRY(sdk::exchange(stream, request, deadline_, answered)).response;
  }

  sdk::Url url_;
  kms::Connector connect_;
  Deadline deadline_;
  std::string token_;
};

Result<Credentials> fetch_credentials(const MetadataOptions& options, std::chrono::milliseconds timeout) {
  constexpr std::string_view folder = "/latest/meta-data/iam/security-credentials/";
  Metadata metadata = TRY(Metadata::open(options, timeout));
  std::string role = TRY(metadata.get(folder));
  role.resize(std::min(role.size(), role.find_first_of("\r\n")));
  if (role.empty()) return not_found("the instance has no role");
  const auto fits = [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != '?' && c != '#'; };
  if (role.size() > 128 || !std::all_of(role.begin(), role.end(), fits)) return malformed("role name of {} characters", role.size());

  std::string text = TRY(metadata.get(std::string(folder) + role));
  auto credentials = parse_credentials(text);
  zeroize(text.data(), text.size());
  if (credentials && !credentials->expires) return malformed("role {}: want AccessKeyId, SecretAccessKey, Token and Expiration", role);
  return std::move(credentials).in(fmt::format("role {}", role));
}

}  // namespace

std::shared_ptr<CredentialsProvider> instance_credentials(MetadataOptions options) {
  RenewalOptions renewal;
  renewal.now = options.now;
  return renewed_credentials(
      [options = std::move(options)](std::chrono::milliseconds timeout) {
        return fetch_credentials(options, std::min(timeout, options.timeout)).in("instance metadata");
      },
      std::move(renewal));
}

Result<std::shared_ptr<CredentialsProvider>> environment_credentials() {
  const std::string id = environment("AWS_ACCESS_KEY_ID");
  const std::string secret = environment("AWS_SECRET_ACCESS_KEY");
  if (id.empty() || secret.empty()) return not_found("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set");
  return static_credentials({id, Secret::copy_of(as_bytes(secret)), environment("AWS_SESSION_TOKEN"), std::nullopt});
}

std::shared_ptr<CredentialsProvider> default_credentials() {
  if (auto found = environment_credentials()) return found.take();
  return instance_credentials();
}

Result<std::string> find_region(const MetadataOptions& options) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = environment(name); !region.empty()) return region;
  }
  auto metadata = Metadata::open(options, options.timeout);
  auto region = metadata ? metadata->get("/latest/meta-data/placement/region") : Result<std::string>(std::move(metadata).error());
  if (!region) return not_found("region: AWS_REGION is not set and the instance metadata has none ({})", region.error().message());
  return region;
}

Result<kms::Client::Options> kms_options(std::string region) {
  kms::Client::Options options;
  options.region = std::move(region);
  options.host = TRY(kms::endpoint_host(options.region));
  for (const char* name : {"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"}) {
    const std::string endpoint = environment(name);
    if (endpoint.empty()) continue;
    const sdk::Url url = TRY(sdk::parse_url(endpoint).in(name));
    if (!url.path.empty()) return malformed("{}: {}: want no path", name, endpoint);
    options.host = url.host;
    options.port = url.port;
    options.tls = url.tls;
    break;
  }
  options.ca_file = environment("AWS_CA_BUNDLE");
  options.connect = [host = options.host, port = options.port](std::chrono::milliseconds timeout) -> Result<UniqueFd> {
    return sdk::connect_tcp(host, port, Deadline(timeout));
  };
  options.credentials = default_credentials();
  return options;
}

}  // namespace casemate::parent
