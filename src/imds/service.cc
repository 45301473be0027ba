// SPDX-License-Identifier: Apache-2.0
#include "imds/service.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/encoding.h"
#include "base/text.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/value.h"

namespace casemate::imds {
namespace {

constexpr std::size_t kTokenKeyBytes = 32;
constexpr std::size_t kClaimBytes = 16;  // expiry in milliseconds, nonce
constexpr std::size_t kMacBytes = 24;    // 40 bytes in all: 56 characters, as EC2's tokens have
constexpr int kLongestTtl = 21'600;
constexpr std::string_view kTtlHeader = "X-aws-ec2-metadata-token-ttl-seconds";
constexpr std::string_view kTokenHeader = "X-aws-ec2-metadata-token";

http::Response text_response(std::string body) {
  http::Response response;
  response.headers.add("Content-Type", "text/plain");
  response.headers.add("Server", "EC2ws");
  response.body = std::move(body);
  return response;
}

http::Response error_response(unsigned status, std::string_view title) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/html");
  response.headers.add("Server", "EC2ws");
  response.body = fmt::format(
      "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
      "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" "
      "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
      "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
      " <head>\n  <title>{0} - {1}</title>\n </head>\n <body>\n  <h1>{0} - {1}</h1>\n </body>\n</html>\n",
      status, title);
  return response;
}

// A literal address or localhost, with or without a port: what an SDK is configured with.
bool host_is_ours(const std::string* host) {
  if (host == nullptr) return true;  // HTTP/1.0
  std::string_view name = *host;
  if (const auto colon = name.rfind(':'); colon != std::string_view::npos &&
                                          name.find(']', colon) == std::string_view::npos &&
                                          (name.starts_with('[') || name.find(':') == colon))
    name = name.substr(0, colon);
  if (equal_ignoring_case(name, "localhost")) return true;
  return !name.empty() && name.find_first_not_of(name.starts_with('[') ? "[]0123456789abcdefABCDEF:."
                                                                       : "0123456789.") == std::string_view::npos;
}

// Splits at slashes; empty segments vanish, as they do in EC2's service.
std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (slash != 0) out.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return out;
}

bool is_version(std::string_view name) {
  if (name == "latest" || name == "1.0") return true;
  return name.size() == 10 && name[4] == '-' && name[7] == '-' &&
         std::all_of(name.begin(), name.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

std::string rfc3339_seconds(WallTime time) {
  return format_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
}

using Tree = std::map<std::string, std::string>;  // path below the version -> text

std::string zone_of(const Instance& instance) {
  return instance.availability_zone.empty() ? instance.region + "a" : instance.availability_zone;
}

std::string_view partition_of(std::string_view region) {
  return region.starts_with("cn-") ? "aws-cn" : region.starts_with("us-gov-") ? "aws-us-gov" : "aws";
}

std::string identity_document(const Instance& instance) {
  return json::encode_pretty(json::Object{
      {"accountId", instance.account},
      {"architecture", instance.architecture},
      {"availabilityZone", zone_of(instance)},
      {"billingProducts", nullptr},
      {"devpayProductCodes", nullptr},
      {"marketplaceProductCodes", nullptr},
      {"imageId", instance.image_id},
      {"instanceId", instance.instance_id},
      {"instanceType", instance.instance_type},
      {"kernelId", nullptr},
      {"pendingTime", rfc3339_seconds(instance.pending_time)},
      {"privateIp", instance.private_ip},
      {"ramdiskId", nullptr},
      {"region", instance.region},
      {"version", "2017-09-30"},
  });
}

std::string iam_info(const Instance& instance, WallTime now) {
  const std::string arn = instance.instance_profile_arn.empty()
                              ? fmt::format("arn:{}:iam::{}:instance-profile/{}", partition_of(instance.region),
                                            instance.account, instance.role_name)
                              : instance.instance_profile_arn;
  return json::encode_pretty(json::Object{{"Code", "Success"},
                                          {"LastUpdated", rfc3339_seconds(now)},
                                          {"InstanceProfileArn", arn},
                                          {"InstanceProfileId", instance.instance_profile_id}});
}

// Every leaf but the credentials themselves, whose text is left empty.
Tree make_tree(const Instance& instance, WallTime now) {
  std::string dashed_ip = instance.private_ip;
  std::replace(dashed_ip.begin(), dashed_ip.end(), '.', '-');
  const std::string host_name = fmt::format(
      "ip-{}.{}", dashed_ip, instance.region == "us-east-1" ? "ec2.internal" : instance.region + ".compute.internal");
  Tree tree{
      {"dynamic/instance-identity/document", identity_document(instance)},
      {"meta-data/ami-id", instance.image_id},
      {"meta-data/ami-launch-index", "0"},
      {"meta-data/hostname", host_name},
      {"meta-data/instance-action", "none"},
      {"meta-data/instance-id", instance.instance_id},
      {"meta-data/instance-life-cycle", "on-demand"},
      {"meta-data/instance-type", instance.instance_type},
      {"meta-data/local-hostname", host_name},
      {"meta-data/local-ipv4", instance.private_ip},
      {"meta-data/placement/availability-zone", zone_of(instance)},
      {"meta-data/placement/region", instance.region},
      {"meta-data/profile", "default-hvm"},
      {"meta-data/security-groups", "default"},
      {"meta-data/services/domain", partition_of(instance.region) == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"},
      {"meta-data/services/partition", std::string(partition_of(instance.region))},
  };
  if (!instance.role_name.empty()) {
    tree["meta-data/iam/info"] = iam_info(instance, now);
    tree["meta-data/iam/security-credentials/" + instance.role_name] = "";
  }
  if (!instance.user_data.empty()) tree["user-data"] = instance.user_data;
  return tree;
}

// list gives the names right below `prefix`, folders with a slash; empty when there is no such folder.
std::string list(const Tree& tree, const std::string& prefix) {
  std::string out;
  std::string last;
  for (auto it = tree.lower_bound(prefix); it != tree.end() && it->first.starts_with(prefix); ++it) {
    const std::string_view rest = std::string_view(it->first).substr(prefix.size());
    const auto slash = rest.find('/');
    std::string name(rest.substr(0, slash == std::string_view::npos ? rest.size() : slash + 1));
    if (name == last) continue;
    if (!out.empty()) out += '\n';
    out += name;
    last = std::move(name);
  }
  return out;
}

}  // namespace

Service::Service(Instance instance, CredentialProvider provider, const Clock& clock, Rng& rng, Tokens tokens)
    : instance_(std::move(instance)),
      provider_(std::move(provider)),
      clock_(clock),
      rng_(rng),
      tokens_(tokens),
      token_key_(Secret::of_size(kTokenKeyBytes)) {
  rng_.fill(token_key_.expose_mutable());
}

http::Response Service::handle(const http::Request& request) const {
  if (!host_is_ours(request.headers.find("host"))) return error_response(403, "Forbidden");
  // An endpoint setting that ends in a slash, as some clients want it, doubles the slash of others.
  std::string_view path = request.path();
  while (path.starts_with("//")) path.remove_prefix(1);
  if (path == "/latest/api/token") {
    if (request.method == "PUT") return issue_token(request);
    auto refused = error_response(405, "Method Not Allowed");
    refused.headers.add("Allow", "OPTIONS, PUT");
    return refused;
  }
  if (request.method != "GET" && request.method != "HEAD") {
    auto refused = error_response(405, "Method Not Allowed");
    refused.headers.add("Allow", "GET, HEAD");
    return refused;
  }
  const std::string* const token = request.headers.find(kTokenHeader);
  if (token != nullptr ? !token_valid(*token) : tokens_ == Tokens::kRequired)
    return error_response(401, "Unauthorized");
  return read(path);
}

http::Response Service::issue_token(const http::Request& request) const {
  // A forwarded PUT comes through an open proxy or a misconfigured firewall.
  if (request.headers.count("x-forwarded-for") > 0) return error_response(403, "Forbidden");
  const std::string* const wanted = request.headers.find(kTtlHeader);
  int ttl = 0;
  if (wanted == nullptr) return error_response(400, "Bad Request");
  const auto [end, failure] = std::from_chars(wanted->data(), wanted->data() + wanted->size(), ttl);
  if (failure != std::errc{} || end != wanted->data() + wanted->size() || ttl < 1 || ttl > kLongestTtl)
    return error_response(400, "Bad Request");

  const WallTime expiry = clock_.now() + std::chrono::seconds(ttl);
  Bytes token;
  append_be<8>(token, static_cast<std::uint64_t>(expiry.time_since_epoch().count()));
  token.resize(kClaimBytes);
  rng_.fill(std::span(token).subspan(8));
  append(token, token_mac(token));
  auto response = text_response(encode_base64(token));
  response.headers.add(kTtlHeader, std::to_string(ttl));
  return response;
}

Bytes Service::token_mac(ByteView claims) const {
  Bytes mac = crypto::hmac(crypto::Hash::kSha256, token_key_.expose(), claims);
  mac.resize(kMacBytes);
  return mac;
}

bool Service::token_valid(const std::string& token) const {
  const auto bytes = decode_base64(token);
  if (!bytes.ok() || bytes->size() != kClaimBytes + kMacBytes) return false;
  const ByteView claims = ByteView(*bytes).first(kClaimBytes);
  if (!equal_constant_time(ByteView(*bytes).subspan(kClaimBytes), token_mac(claims))) return false;
  std::uint64_t expiry = 0;
  for (const std::uint8_t byte : claims.first(8)) expiry = expiry << 8 | byte;
  return clock_.now() < WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(expiry)));
}

http::Response Service::read(std::string_view path) const {
  const auto parts = segments(path);
  if (parts.empty()) return text_response("1.0\n2021-07-15\nlatest");
  if (!is_version(parts.front())) return error_response(404, "Not Found");
  std::string key;
  for (std::size_t i = 1; i < parts.size(); ++i) key += (i > 1 ? "/" : "") + parts[i];

  const Tree tree = make_tree(instance_, clock_.now());
  const bool folder_asked = path.ends_with('/');
  if (const auto leaf = tree.find(key); leaf != tree.end() && !folder_asked) {
    if (key.starts_with("meta-data/iam/security-credentials/")) return credentials();
    return text_response(leaf->second);
  }
  std::string names = list(tree, key.empty() ? key : key + "/");
  return names.empty() ? error_response(404, "Not Found") : text_response(std::move(names));
}

http::Response Service::credentials() const {
  const auto role = provider_();
  if (!role.ok()) {
    // EC2 answers 200 with a code; SDKs look for Code and Message.
    return text_response(json::encode_pretty(json::Object{{"Code", "AssumeRoleUnauthorizedAccess"},
                                                          {"Message", role.error().message()},
                                                          {"LastUpdated", rfc3339_seconds(clock_.now())}}));
  }
  return text_response(json::encode_pretty(json::Object{{"Code", "Success"},
                                                        {"LastUpdated", rfc3339_seconds(role->last_updated)},
                                                        {"Type", "AWS-HMAC"},
                                                        {"AccessKeyId", role->access_key_id},
                                                        {"SecretAccessKey", role->secret_access_key},
                                                        {"Token", role->session_token},
                                                        {"Expiration", rfc3339_seconds(role->expiration)}}));
}

}  // namespace casemate::imds
