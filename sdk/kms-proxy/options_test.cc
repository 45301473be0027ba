// SPDX-License-Identifier: Apache-2.0
#include "sdk/kms-proxy/options.h"

#include <gmock/gmock.h>

namespace casemate::kms_proxy {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

std::variant<Options, Exit> parse(const std::vector<const char*>& arguments, const std::string& region = "") {
  return parse_options(arguments, [&](const char* name) { return std::string(name) == "AWS_REGION" ? region : ""; });
}

Options parsed(const std::vector<const char*>& arguments, const std::string& region = "") {
  auto outcome = parse(arguments, region);
  if (auto* const exit = std::get_if<Exit>(&outcome)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<Options>(std::move(outcome));
}

std::string usage_error(const std::vector<const char*>& arguments) {
  auto outcome = parse(arguments);
  const auto* const exit = std::get_if<Exit>(&outcome);
  return exit == nullptr || exit->status != 2 ? "accepted" : exit->text;
}

TEST(KmsProxyOptions, ReadsEveryOption) {
  const auto options = parsed({"--listen", "127.0.0.1:0", "--proxy-port=9000", "--credentials", "imds:9002", "--region", "eu-west-1", "--endpoint-host",
                               "kms.x", "--ca-file", "/ca.pem", "--workers", "4", "--", "python3", "/app.py", "--", "--help"});
  EXPECT_EQ(options.port, 0);
  EXPECT_EQ(options.proxy_port, 9000U);
  EXPECT_EQ(options.credentials, CredentialsFrom::kMetadata);
  EXPECT_EQ(options.credentials_port, 9002U);
  EXPECT_EQ(options.region, "eu-west-1");
  EXPECT_EQ(options.host, "kms.x");
  EXPECT_EQ(options.ca_file, "/ca.pem");
  EXPECT_EQ(options.workers, 4U);
  EXPECT_EQ(options.command, (std::vector<std::string>{"python3", "/app.py", "--", "--help"}));
  EXPECT_EQ(parsed({}, "us-east-1").region, "us-east-1");
  EXPECT_EQ(parsed({"--credentials", "vsock"}).credentials_port, 8001U);
  EXPECT_EQ(parsed({"--listen", "[::1]:80"}).address, "::1");
}

TEST(KmsProxyOptions, ServesLoopbackOnly) {
  for (const char* address : {"0.0.0.0:8090", "[::]:8090", "10.0.0.1:8090", "localhost:8090", "8090"}) {
    EXPECT_THAT(usage_error({"--listen", address}), HasSubstr("--listen"));
  }
}

TEST(KmsProxyOptions, NamesWhatIsWrongInOneLine) {
  EXPECT_THAT(usage_error({"--credentials", "file"}), HasSubstr("vsock[:PORT], imds[:PORT] or env"));
  EXPECT_THAT(usage_error({"--credentials", "vsock:x"}), HasSubstr("port"));
  EXPECT_THAT(usage_error({"--workers", "0"}), HasSubstr("1 to 256"));
  EXPECT_THAT(usage_error({"--region"}), HasSubstr("--region: value missing"));
  EXPECT_THAT(usage_error({"--frob", "1"}), HasSubstr("--frob: unknown"));
  EXPECT_THAT(usage_error({"--"}), HasSubstr("no command"));
  EXPECT_EQ(std::get<Exit>(parse({"--help"})).status, 0);
}

TEST(KmsProxyOptions, GivesTheCommandWhatAnSdkNeeds) {
  const auto environment = child_environment({"PATH=/bin", "AWS_ENDPOINT_URL_KMS=https://x"}, "http://127.0.0.1:8090", "us-east-1");
  EXPECT_THAT(environment, Contains("AWS_ENDPOINT_URL_KMS=http://127.0.0.1:8090"));
  EXPECT_THAT(environment, Not(Contains("AWS_ENDPOINT_URL_KMS=https://x")));
  EXPECT_THAT(environment, Contains("AWS_REGION=us-east-1"));
  EXPECT_THAT(environment, Contains(HasSubstr("AWS_ACCESS_KEY_ID=")));
  const auto own = child_environment({"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=B", "AWS_REGION=x"}, "u", "us-east-1");
  EXPECT_THAT(own, Contains("AWS_SECRET_ACCESS_KEY=B"));
  EXPECT_THAT(own, Not(Contains("AWS_REGION=us-east-1")));
}

}  // namespace
}  // namespace casemate::kms_proxy
