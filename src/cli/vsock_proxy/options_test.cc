// SPDX-License-Identifier: Apache-2.0
#include "cli/vsock_proxy/options.h"

#include <gmock/gmock.h>

#include <initializer_list>

namespace casemate::cli::vsock_proxy {
namespace {

using testing::HasSubstr;

std::variant<Options, Exit> parse(const std::vector<const char*>& arguments, const Environment& environment = {}) {
  std::vector<const char*> all{"vsock-proxy"};
  for (const char* const each : arguments) all.push_back(each);
  return parse_options(static_cast<int>(all.size()), all.data(), environment);
}

Options parsed(const std::vector<const char*>& arguments, const Environment& environment = {}) {
  auto outcome = parse(arguments, environment);
  if (auto* const exit = std::get_if<Exit>(&outcome)) {
    ADD_FAILURE() << exit->err;
    return {};
  }
  return std::get<Options>(std::move(outcome));
}

std::string usage_error(const std::vector<const char*>& arguments) {
  auto outcome = parse(arguments);
  const auto* const exit = std::get_if<Exit>(&outcome);
  if (exit == nullptr || exit->status != 2) return "accepted";
  EXPECT_EQ(exit->err.find('\n'), exit->err.size() - 1) << "one line";
  return exit->err;
}

TEST(VsockProxyOptions, TakesAwsCommandLine) {
  const auto options = parsed({"-4", "-w", "8", "--config", "/c.yaml", "8000", "KMS.us-east-1.amazonaws.com", "443"});
  ASSERT_EQ(options.routes.size(), 1U);
  EXPECT_EQ(options.routes[0], (proxy::Route{8000, {"kms.us-east-1.amazonaws.com", 443}}));
  EXPECT_EQ(options.workers, 8U);
  EXPECT_EQ(options.config_path, "/c.yaml");
  EXPECT_TRUE(options.config_named);
  EXPECT_EQ(options.proxy.family, proxy::Family::kIpv4);
  EXPECT_EQ(parsed({"4294967295", "::1", "1"}).routes[0].remote.host, "::1");
}

TEST(VsockProxyOptions, TakesRoutesAndOverrides) {
  const auto options = parsed({"--route", "8001=a.x:443", "--route", "8002=b.x:80", "--resolve",
                               "a.x:443:127.0.0.1:8443", "8000", "c.x", "443"},
                              {"a.x:443:10.0.0.1,c.x:443:[::1]", "info"});
  EXPECT_EQ(options.routes.size(), 3U);
  ASSERT_EQ(options.overrides.size(), 3U);
  EXPECT_EQ(options.overrides[0].port, 8443);
  EXPECT_EQ(options.overrides[1].address.text(), "10.0.0.1");
  EXPECT_EQ(options.log_level, LogLevel::kInfo);
}

TEST(VsockProxyOptions, NamesWhatIsWrongInOneLine) {
  EXPECT_THAT(usage_error({"-w", "0", "8000", "a", "443"}), HasSubstr("Number of workers must not be 0"));
  EXPECT_THAT(usage_error({"-4", "-6", "8000", "a", "443"}), HasSubstr("--ipv4"));
  EXPECT_THAT(usage_error({"8000", "a"}), HasSubstr("<remote_port>"));
  EXPECT_THAT(usage_error({"8000", "a", "70000"}), HasSubstr("remote_port: port: want"));
  EXPECT_THAT(usage_error({"4294967296", "a", "1"}), HasSubstr("local_port"));
  EXPECT_THAT(usage_error({"8000", "0x7f.1", "1"}), HasSubstr("remote_addr"));
  EXPECT_THAT(usage_error({"--route", "8000=b:1", "8000", "a", "1"}), HasSubstr("two routes"));
  EXPECT_THAT(usage_error({"--frob", "8000", "a", "1"}), HasSubstr("--frob"));
  EXPECT_THAT(usage_error({"--resolve", "a:b", "8000", "a", "1"}), HasSubstr("--resolve a:b"));
  EXPECT_THAT(usage_error({"--transport", "tcp", "8000", "a", "1"}), HasSubstr("--transport"));
}

TEST(VsockProxyOptions, HelpAndVersionEndWell) {
  EXPECT_EQ(std::get<Exit>(parse({"--help"})).status, 0);
  EXPECT_THAT(std::get<Exit>(parse({"--version"})).out, HasSubstr("Vsock Proxy"));
}

}  // namespace
}  // namespace casemate::cli::vsock_proxy
