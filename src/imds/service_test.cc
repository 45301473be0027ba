// SPDX-License-Identifier: Apache-2.0
#include "imds/service.h"

#include <gmock/gmock.h>

#include "base/time_text.h"
#include "crypto/rng.h"
#include "json/value.h"

namespace casemate::imds {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ImdsTest : public testing::Test {
 protected:
  http::Response ask(const Service& service, std::string method, std::string target,
                     std::vector<http::Headers::Field> headers = {}) {
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.add("Host", "169.254.169.254");
    for (const auto& [name, value] : headers) request.headers.set(name, value);
    return service.handle(request);
  }
  http::Response get(std::string target, std::vector<http::Headers::Field> headers = {}) {
    return ask(service_, "GET", std::move(target), std::move(headers));
  }
  std::string token(const Service& service, std::string ttl) {
    return ask(service, "PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", std::move(ttl)}}).body;
  }

  static Instance instance() {
    Instance out;
    out.role_name = "casemate-parent";
    return out;
  }
  FixedClock clock_{parse_rfc3339("2026-11-24T12:00:00Z").take()};
  crypto::SystemRng rng_;
  bool provider_fails_ = false;
  CredentialProvider provider_ = [this]() -> Result<RoleCredentials> {
    if (provider_fails_) return unavailable("store is closed");
    return RoleCredentials{"ASIAEXAMPLE", "secret/+", "token==", clock_.now(), clock_.now() + 6h};
  };
  Service service_{instance(), provider_, clock_, rng_};
  Service strict_{instance(), provider_, clock_, rng_, Tokens::kRequired};
};

TEST_F(ImdsTest, GivesTheRolesCredentials) {
  EXPECT_EQ(get("/latest/meta-data/iam/security-credentials/").body, "casemate-parent");
  const auto response = get("/latest/meta-data/iam/security-credentials/casemate-parent");
  EXPECT_EQ(response.status, 200U);
  const auto value = json::parse(response.body).take();
  EXPECT_EQ(*value.string_at("Code"), "Success");
  EXPECT_EQ(*value.string_at("Type"), "AWS-HMAC");
  EXPECT_EQ(*value.string_at("AccessKeyId"), "ASIAEXAMPLE");
  EXPECT_EQ(*value.string_at("SecretAccessKey"), "secret/+");
  EXPECT_EQ(*value.string_at("Token"), "token==");
  EXPECT_EQ(*value.string_at("Expiration"), "2026-11-24T18:00:00Z");
  EXPECT_EQ(get("/latest/meta-data/iam/security-credentials/other").status, 404U);
}

TEST_F(ImdsTest, TellsWhyThereAreNoCredentials) {
  provider_fails_ = true;
  const auto value = json::parse(get("/latest/meta-data/iam/security-credentials/casemate-parent").body).take();
  EXPECT_EQ(*value.string_at("Code"), "AssumeRoleUnauthorizedAccess");
  EXPECT_EQ(*value.string_at("Message"), "store is closed");
}

TEST_F(ImdsTest, HasNoIamTreeWithoutARole) {
  const Service bare(Instance{}, provider_, clock_, rng_);
  EXPECT_EQ(ask(bare, "GET", "/latest/meta-data/iam/security-credentials/").status, 404U);
  EXPECT_EQ(ask(bare, "GET", "/latest/meta-data/iam/info").status, 404U);
}

TEST_F(ImdsTest, IssuesTokensAsEc2Does) {
  const auto response = ask(strict_, "PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(*response.headers.find("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_EQ(response.body.size(), 56U);
  EXPECT_NE(response.body, token(strict_, "21600"));
  EXPECT_EQ(ask(strict_, "GET", "/latest/meta-data/instance-id", {{"x-aws-ec2-metadata-token", response.body}}).body,
            "i-0123456789abcdef0");
}

TEST_F(ImdsTest, RefusesBadTokenRequests) {
  for (const auto ttl : {"", "0", "-1", "21601", "60s", " 60", "99999999999999"})
    EXPECT_EQ(ask(service_, "PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", ttl}}).status, 400U)
        << ttl;
  EXPECT_EQ(ask(service_, "PUT", "/latest/api/token").status, 400U);
  EXPECT_EQ(ask(service_, "PUT", "/latest/api/token",
                {{"X-aws-ec2-metadata-token-ttl-seconds", "60"}, {"X-Forwarded-For", "1.2.3.4"}})
                .status,
            403U);
  EXPECT_EQ(get("/latest/api/token").status, 405U);
  EXPECT_EQ(ask(service_, "POST", "/latest/meta-data/").status, 405U);
}

TEST_F(ImdsTest, ChecksTokensAlsoWhereTheyAreOptional) {
  const std::string good = token(service_, "60");
  const auto status = [&](const Service& service, const std::string& with) {
    return ask(service, "GET", "/latest/meta-data/instance-id", {{"X-aws-ec2-metadata-token", with}}).status;
  };
  EXPECT_EQ(status(service_, good), 200U);
  std::string forged = good;
  forged[3] = forged[3] == 'A' ? 'B' : 'A';
  EXPECT_EQ(status(service_, forged), 401U);
  EXPECT_EQ(status(service_, ""), 401U);
  EXPECT_EQ(status(service_, good.substr(0, 52)), 401U);
  EXPECT_EQ(status(strict_, good), 401U) << "another service's token";
  clock_.advance(60s);
  EXPECT_EQ(status(service_, good), 401U);
  EXPECT_EQ(get("/latest/meta-data/instance-id").status, 200U);
  EXPECT_EQ(ask(strict_, "GET", "/latest/meta-data/instance-id").status, 401U);
}

TEST_F(ImdsTest, RefusesHostsOfWebPages) {
  for (const auto host :
       {"127.0.0.1:1338", "localhost:1338", "[fd00:ec2::254]", "[::1]:80", "169.254.169.254", "LOCALHOST"})
    EXPECT_EQ(get("/latest/meta-data/instance-id", {{"Host", host}}).status, 200U) << host;
  for (const auto host :
       {"evil.example", "evil.example:1338", "127.0.0.1.evil.example", "localhost.evil", "", "dead.beef"})
    EXPECT_EQ(get("/latest/meta-data/instance-id", {{"Host", host}}).status, 403U) << host;
}

TEST_F(ImdsTest, DescribesTheInstance) {
  const auto document = json::parse(get("/latest/dynamic/instance-identity/document").body).take();
  EXPECT_EQ(*document.string_at("accountId"), "111122223333");
  EXPECT_EQ(*document.string_at("availabilityZone"), "us-east-1a");
  EXPECT_EQ(*document.string_at("version"), "2017-09-30");
  EXPECT_EQ(get("/latest/meta-data/placement/region").body, "us-east-1");
  EXPECT_EQ(get("/2021-07-15/meta-data/placement/availability-zone").body, "us-east-1a");
  const auto info = json::parse(get("/latest/meta-data/iam/info").body).take();
  EXPECT_EQ(*info.string_at("InstanceProfileArn"), "arn:aws:iam::111122223333:instance-profile/casemate-parent");
}

TEST_F(ImdsTest, ListsFolders) {
  EXPECT_EQ(get("/latest/").body, "dynamic/\nmeta-data/");
  EXPECT_EQ(get("/latest").body, "dynamic/\nmeta-data/");
  EXPECT_THAT(get("/latest/meta-data/").body, HasSubstr("\niam/\ninstance-action\ninstance-id\n"));
  EXPECT_EQ(get("/latest/meta-data/placement/").body, "availability-zone\nregion");
  EXPECT_EQ(get("/latest/meta-data//placement/region").body, "us-east-1");
  EXPECT_THAT(get("/").body, HasSubstr("latest"));
  for (const auto path : {"/latest/meta-data/nothing", "/latest/meta-data/instance-id/", "/latest/user-data",
                          "/old/meta-data/", "/latest/../etc", "/latest/%6deta-data/"})
    EXPECT_EQ(get(path).status, 404U) << path;
}

}  // namespace
}  // namespace casemate::imds
