// SPDX-License-Identifier: Apache-2.0
#include "kmstool.h"

#include <gmock/gmock.h>

#include "base/bytes.h"
#include "base/test_matchers.h"

namespace casemate::kmstool {
namespace {

using testing::HasSubstr;

std::variant<Options, Usage> parse(std::vector<const char*> arguments, const char* environment = "") {
  return parse_arguments(arguments, [&](const char*) { return std::string(environment); });
}

std::string usage(std::vector<const char*> arguments) {
  const auto parsed = parse(std::move(arguments));
  const auto* found = std::get_if<Usage>(&parsed);
  return found == nullptr ? "accepted" : found->text;
}

std::vector<const char*> with_credentials(std::vector<const char*> arguments) {
  arguments.insert(arguments.end(), {"--aws-access-key-id", "A", "--aws-secret-access-key", "S", "--aws-session-token", "T"});
  return arguments;
}

TEST(Kmstool, TakesAwsCommandLines) {
  const auto parsed = parse(with_credentials({"decrypt", "--region", "eu-west-1", "--proxy-port", "9000", "--ciphertext", "AQID"}));
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  const Options& options = std::get<Options>(parsed);
  EXPECT_EQ(options.region, "eu-west-1");
  EXPECT_EQ(options.proxy_port, 9000u);
  EXPECT_EQ(options.secret_access_key, "S");
  EXPECT_EQ(usage(with_credentials({"genkey", "--key-id", "k", "--key-spec", "AES-256"})), "accepted");
  EXPECT_EQ(usage(with_credentials({"genrandom", "--length", "32"})), "accepted");
}

TEST(Kmstool, GivesAwsMessages) {
  EXPECT_THAT(usage({}), HasSubstr("usage: kmstool_enclave_cli [command]"));
  EXPECT_THAT(usage({"frobnicate"}), HasSubstr("usage: kmstool_enclave_cli [command]"));
  EXPECT_THAT(usage({"decrypt", "--help"}), HasSubstr("usage: kmstool_enclave_cli decrypt [options]"));
  EXPECT_EQ(usage({"decrypt", "--ciphertext", "AQID"}), "--aws-access-key-id must be set\n");
  EXPECT_EQ(usage(with_credentials({"decrypt"})), "--ciphertext must be set\n");
  EXPECT_EQ(usage(with_credentials({"genkey"})), "--key-id must be set\n");
  EXPECT_EQ(usage(with_credentials({"genkey", "--key-id", "k"})), "--key-spec must be set\n");
  EXPECT_EQ(usage(with_credentials({"genkey", "--key-id", "k", "--key-spec", "DES"})), "Unknown key spec: DES\n");
  EXPECT_EQ(usage(with_credentials({"genrandom"})), "--length must be set\n");
  EXPECT_EQ(usage(with_credentials({"genrandom", "--length", "0"})), "--length must be greater than 0\n");
  EXPECT_EQ(usage(with_credentials({"genrandom", "--length", "1025"})), "--length must be smaller or equal to 1024\n");
  EXPECT_THAT(usage(with_credentials({"genrandom", "--ciphertext", "x"})), HasSubstr("Unknown option: --ciphertext"));
  EXPECT_THAT(usage({"decrypt", "--ciphertext"}), HasSubstr("value missing"));
}

TEST(Kmstool, TakesCredentialsOutsideArgv) {
  const auto from_environment = parse({"genrandom", "--length", "1"}, "value");
  ASSERT_TRUE(std::holds_alternative<Options>(from_environment));
  EXPECT_EQ(std::get<Options>(from_environment).session_token, "value");
  EXPECT_EQ(usage({"genrandom", "--length", "1", "--credentials-fd", "0"}), "accepted");
  const auto credentials = parse_credentials(R"({"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T"})");
  ASSERT_THAT(credentials, IsOk());
  EXPECT_EQ(credentials->session_token, "T");
  EXPECT_THAT(parse_credentials(R"({"AccessKeyId": "A"})"), IsError(ErrorCode::kMalformed));
}

TEST(Kmstool, RefusesWhatIsNotBase64BeforeItCallsAnybody) {
  kms::Client::Options unused;
  unused.region = "us-east-1";
  unused.tls = false;
  unused.credentials = static_credentials({"A", Secret(), "", {}});
  const auto client = kms::Client::create(std::move(unused));
  ASSERT_THAT(client, IsOk());
  Options options;
  options.ciphertext = "not base64";
  EXPECT_THAT(run(options, *client), IsError(ErrorCode::kMalformed, "Ciphertext not a base64 string"));
}

}  // namespace
}  // namespace casemate::kmstool
