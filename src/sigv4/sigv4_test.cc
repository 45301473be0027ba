// SPDX-License-Identifier: Apache-2.0
#include "sigv4/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_instructions.h"
#include "base/test_matchers.h"
#include "base/time_text.h"
#include "sigv4/canonical.h"

namespace casemate::sigv4 {
namespace {

using testing::Eq;
using testing::HasSubstr;

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

WallTime at(std::string_view text) {
  return parse_basic(text).take();
}

http::Request request(std::string_view method, std::string_view target,
                      std::vector<std::pair<std::string, std::string>> headers = {}, std::string_view body = {}) {
  http::Request out;
  out.method = method;
  out.target = target;
  out.headers.add("Host", "example.amazonaws.com");
  for (const auto& [name, value] : headers) out.headers.add(name, value);
  out.body = body;
  return out;
}

std::string signature_in(const http::Request& signed_request) {
  const std::string* header = signed_request.headers.find("Authorization");
  if (header == nullptr) return "no header";
  return header->substr(header->rfind('=') + 1);
}

// ---- AWS's published test suite (aws-sig-v4-test-suite): names and signatures are the suite's.

struct Vector {
  const char* name;
  http::Request request;
  const char* signature;
};

TEST(SigV4Sign, AgreesWithThePublishedSuite) {
  const std::string utf8 = "\xE1\x88\xB4";
  const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const std::vector<Vector> vectors = {
      {"get-vanilla", request("GET", "/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case", request("GET", "/?Param2=value2&Param1=value1"),
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-empty-query-key", request("GET", "/?Param1=value1"),
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-utf8-query", request("GET", "/?" + utf8 + "=bar"),
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-unreserved", request("GET", "/" + unreserved),
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8", request("GET", "/" + utf8), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-space", request("GET", "/example space/"),
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-slash", request("GET", "//"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash-dot-slash", request("GET", "/./"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-relative", request("GET", "/example/.."), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-relative-relative", request("GET", "/example1/example2/../.."),
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-header-key-duplicate",
       request("GET", "/", {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-trim", request("GET", "/", {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-vanilla", request("POST", "/"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-header-key-sort", request("POST", "/", {{"My-Header1", "value1"}}),
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-x-www-form-urlencoded",
       request("POST", "/", {{"Content-Type", "application/x-www-form-urlencoded"}}, "Param1=value1"),
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
  };
  for (const Vector& vector : vectors) {
    http::Request signing = vector.request;
    ASSERT_THAT(sign(signing, Credentials::of("AKIDEXAMPLE", kSecret), "us-east-1", "service", at("20150830T123600Z")),
                IsOk())
        << vector.name;
    EXPECT_EQ(signature_in(signing), vector.signature) << vector.name;
  }
}

TEST(SigV4Sign, PutsTheTokenBeforeOrAfterSigning) {
  const std::string token =
      "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSE"
      "I/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rK"
      "wT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
  const auto now = at("20150830T123600Z");
  http::Request before = request("POST", "/");
  ASSERT_THAT(sign(before, Credentials::of("AKIDEXAMPLE", kSecret, token), "us-east-1", "service", now), IsOk());
  EXPECT_EQ(signature_in(before), "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
  http::Request after = request("POST", "/");
  ASSERT_THAT(sign(after, Credentials::of("AKIDEXAMPLE", kSecret, token), "us-east-1", "service", now,
                   {ContentHash::kOmit, TokenHeader::kAfterSigning}),
              IsOk());
  EXPECT_EQ(signature_in(after), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(SigV4Sign, RefusesWhatItCannotSign) {
  http::Request no_host;
  no_host.method = "GET";
  no_host.target = "/";
  const auto credentials = Credentials::of("A", "b");
  EXPECT_THAT(sign(no_host, credentials, "r", "s", {}), IsError(ErrorCode::kMalformed, HasSubstr("Host")));
  http::Request climbing = request("GET", "/../x");
  EXPECT_THAT(sign(climbing, credentials, "r", "s", {}), IsError(ErrorCode::kMalformed));
  http::Request broken = request("GET", "/?a=%4");
  EXPECT_THAT(sign(broken, credentials, "r", "s", {}), IsError(ErrorCode::kMalformed));
}

// ---- Verification

class OneKey final : public CredentialSource<std::string> {
 public:
  Lookup<std::string> find(std::string_view id, std::optional<std::string_view> token, WallTime) override {
    Lookup<std::string> out;
    if (token && *token == "old") out.found = Found::kExpiredToken;
    else if (token && *token != "token") out.found = Found::kUndecodableToken;
    else if ((id == "AKID" && !token) || (id == "ASIA" && token)) {
      out.found = Found::kCredential;
      out.secret_access_key = Secret::copy_of(as_bytes(kSecret));
      out.identity = "alice";
    }
    return out;
  }
};

const Expectation kKms{{"kms", "sts"}, {"us-east-1"}};
const auto kNow = at("20260131T120000Z");

http::Request kms_request() {
  http::Request out = request("POST", "/", {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "TrentService.ListKeys"}}, "{}");
  EXPECT_THAT(sign(out, Credentials::of("AKID", kSecret), "us-east-1", "kms", kNow), IsOk());
  return out;
}

Verdict<std::string> check(const http::Request& r, WallTime now = kNow, const Expectation& expectation = kKms) {
  OneKey source;
  return verify<std::string>(r, expectation, now, source);
}

Failure failure(const Verdict<std::string>& verdict) {
  const Failure* out = std::get_if<Failure>(&verdict);
  return out == nullptr ? Failure{FailureKind::kBadRequest, "accepted"} : *out;
}

void replace(http::Request& r, std::string_view from, std::string_view to) {
  std::string header = *r.headers.find("Authorization");
  const std::size_t where = header.find(from);
  ASSERT_NE(where, std::string::npos);
  header.replace(where, from.size(), to);
  r.headers.set("Authorization", header);
}

TEST(SigV4Verify, AcceptsWhatSignMakes) {
  const auto verdict = check(kms_request());
  const auto* who = std::get_if<Authenticated<std::string>>(&verdict);
  ASSERT_NE(who, nullptr) << failure(verdict).message;
  EXPECT_EQ(who->identity, "alice");
  EXPECT_EQ(who->service, "kms");
  EXPECT_FALSE(who->temporary);
}

TEST(SigV4Verify, AcceptsATokenSignedOrAddedAfterwards) {
  for (const TokenHeader token : {TokenHeader::kSigned, TokenHeader::kAfterSigning}) {
    http::Request r = request("POST", "/", {}, "x");
    ASSERT_THAT(sign(r, Credentials::of("ASIA", kSecret, "token"), "us-east-1", "sts", kNow, {ContentHash::kAdd, token}),
                IsOk());
    const auto verdict = check(r);
    const auto* who = std::get_if<Authenticated<std::string>>(&verdict);
    ASSERT_NE(who, nullptr) << failure(verdict).message;
    EXPECT_TRUE(who->temporary);
  }
}

TEST(SigV4Verify, AcceptsAPresignedRequestUntilItExpires) {
  http::Request r = request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15");
  ASSERT_THAT(presign(r, Credentials::of("ASIA", kSecret, "token"), "us-east-1", "sts", kNow, std::chrono::seconds{900}),
              IsOk());
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r, kNow + std::chrono::minutes{14})));
  EXPECT_EQ(failure(check(r, kNow + std::chrono::minutes{16})).message,
            "Signature expired: 20260131T120000Z is now earlier than 20260131T120100Z (20260131T121600Z - 15 min.)");
  r.target += "&X-Amz-Signature=0";
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r))) << "the first value counts";
}

TEST(SigV4Verify, NoticesEveryChangedPart) {
  const auto expect_mismatch = [](const http::Request& r, const char* what) {
    const Failure got = failure(check(r));
    EXPECT_EQ(got.kind, FailureKind::kMismatch) << what << ": " << got.message;
    EXPECT_THAT(got.message, HasSubstr("The request signature we calculated does not match")) << what;
  };
  http::Request r = kms_request();
  r.method = "GET";
  expect_mismatch(r, "method");
  r = kms_request();
  r.target = "/x";
  expect_mismatch(r, "path");
  r = kms_request();
  r.target = "/?a=b";
  expect_mismatch(r, "query");
  r = kms_request();
  r.body = "{ }";
  expect_mismatch(r, "body");
  r = kms_request();
  r.headers.set("X-Amz-Target", "TrentService.Decrypt");
  expect_mismatch(r, "signed header");
  r = kms_request();
  r.headers.add("Content-Type", "text/plain");
  expect_mismatch(r, "repeated signed header");
  r = kms_request();
  replace(r, "Signature=", "Signature=0");
  expect_mismatch(r, "signature length");
}

#if CASEMATE_COUNTS_INSTRUCTIONS
// A denial takes the same steps whichever digits of the signature are wrong, and whatever the secret is.
TEST(SigV4Verify, TakesTheSameStepsForEveryWrongSignature) {
  http::Request r = kms_request();
  std::string header = *r.headers.find("Authorization");
  const std::size_t digits = header.rfind('=') + 1;
  ASSERT_EQ(header.size() - digits, 64U);
  std::string secret(kSecret);
  class Source final : public CredentialSource<std::string> {
   public:
    explicit Source(const std::string& given) : given_(given) {}
    Lookup<std::string> find(std::string_view, std::optional<std::string_view>, WallTime) override {
      return {Found::kCredential, Secret::copy_of(as_bytes(given_)), "alice"};
    }

   private:
    const std::string& given_;
  } source(secret);
  const auto steps = [&](std::size_t from, std::size_t to, bool other_secret) {
    return count_instructions(
        [&] {
          for (std::size_t i = from; i < to; ++i) header[digits + i] = header[digits + i] == '0' ? '1' : '0';
          r.headers.set("Authorization", header);
          if (other_secret) std::fill(secret.begin(), secret.end(), 'z');
        },
        [&] {
          if (!std::holds_alternative<Failure>(verify<std::string>(r, kKms, kNow, source))) ::_exit(2);
        });
  };
  const std::uint64_t first_digit = steps(0, 1, false);
  ASSERT_GT(first_digit, 1000U);
  EXPECT_EQ(steps(63, 64, false), first_digit);
  EXPECT_EQ(steps(0, 64, true), first_digit);
}
#endif

TEST(SigV4Verify, DerivesAKeyAnewForAnotherSecretAndAnotherDay) {
  SigningKeys keys;
  Presented presented;
  presented.access_key_id = "AKID";
  presented.date = "20260101";
  presented.region = "us-east-1";
  presented.service = "kms";
  const Secret secret = Secret::copy_of(as_bytes(kSecret));
  const auto key = keys.get(presented, secret);
  EXPECT_EQ(keys.get(presented, secret), key);
  EXPECT_FALSE(*keys.get(presented, Secret::copy_of(as_bytes("another"))) == *key);
  EXPECT_TRUE(*keys.get(presented, secret) == *key);
  EXPECT_EQ(keys.size(), 1U);
  presented.date = "20260102";
  EXPECT_FALSE(*keys.get(presented, secret) == *key);
  EXPECT_EQ(keys.size(), 1U);  // the day before is gone
  for (int i = 0; i < 3000; ++i) {
    presented.region = std::to_string(i);
    keys.get(presented, secret);
    ASSERT_LE(keys.size(), 1024U);
  }
  presented.region = "us-east-1";
  presented.date = "20260101";
  EXPECT_TRUE(*keys.get(presented, secret) == *key);
}

TEST(SigV4Verify, RefusesADeclaredHashThatIsNotTheBodys) {
  http::Request r = request("POST", "/", {{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"}}, "x");
  ASSERT_THAT(sign(r, Credentials::of("AKID", kSecret), "us-east-1", "kms", kNow), IsOk());
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kMismatch);
}

TEST(SigV4Verify, GivesAwsTextsInAwsOrder) {
  http::Request r = request("POST", "/");
  EXPECT_EQ(failure(check(r)).message, "Request is missing Authentication Token");
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kMissingToken);

  r.target = "/?a=%zz";
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kMalformedQuery);
  r.target = "/%zz";
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kBadRequest);

  r = kms_request();
  r.target = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256";
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kMismatch);
  EXPECT_EQ(failure(check(r)).message, "");

  r = request("POST", "/", {{"Authorization", "Bearer abc"}});
  EXPECT_EQ(failure(check(r)).message, "Unsupported AWS 'algorithm': 'Bearer'.");
  r = request("POST", "/", {{"Authorization", "AWS4-HMAC-SHA256 Credential"}});
  EXPECT_THAT(failure(check(r)).message, HasSubstr("missing equal-sign"));
  r = request("POST", "/", {{"Authorization", "AWS4-HMAC-SHA256"}});
  EXPECT_THAT(failure(check(r)).message,
              testing::StartsWith("Authorization header requires 'Credential' parameter. Authorization header requires "
                                  "'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
                                  "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
                                  "(Hashed with SHA-256 and encoded with Base64) Authorization="));
  EXPECT_EQ(failure(check(r)).kind, FailureKind::kIncomplete);

  r = request("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x");
  EXPECT_EQ(failure(check(r)).message,
            "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include "
            "'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the "
            "query-string parameters.");
}

TEST(SigV4Verify, DemandsThatHostAndAmzHeadersAreSigned) {
  http::Request r = kms_request();
  replace(r, "host;", "");
  EXPECT_EQ(failure(check(r)).message, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  r = kms_request();
  r.headers.add("X-Amz-Extra", "1");
  EXPECT_EQ(failure(check(r)).message, "'X-Amz-Extra' must be a 'SignedHeader' in the AWS Authorization.");
}

TEST(SigV4Verify, KeepsTheFiveMinuteWindowBothWays) {
  const http::Request r = kms_request();
  using std::chrono::seconds;
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r, kNow + seconds{300})));
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r, kNow - seconds{300})));
  EXPECT_EQ(failure(check(r, kNow + seconds{301})).message,
            "Signature expired: 20260131T120000Z is now earlier than 20260131T120001Z (20260131T120501Z - 5 min.)");
  EXPECT_EQ(failure(check(r, kNow - seconds{301})).message,
            "Signature not yet current: 20260131T120000Z is still later than 20260131T115959Z (20260131T115459Z + 5 min.)");
  http::Request odd = kms_request();
  odd.headers.set("X-Amz-Date", "Sat, 31 Jan 2026 12:00:00 GMT");
  EXPECT_EQ(failure(check(odd)).message,
            "Date must be in ISO-8601 'basic format'. Got 'Sat, 31 Jan 2026 12:00:00 GMT'. See "
            "http://en.wikipedia.org/wiki/ISO_8601");
}

TEST(SigV4Verify, ReportsEveryFaultOfTheScopeAtOnce) {
  http::Request r = kms_request();
  replace(r, "/20260131/us-east-1/kms/aws4_request", "/20260130/eu-west-1/s3/aws5");
  EXPECT_EQ(failure(check(r)).message,
            "Credential should be scoped to a valid region, not 'eu-west-1'. Credential should be scoped to correct "
            "service: 'kms'. Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. Date in "
            "Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260130' != '20260131', "
            "from '20260131T120000Z'.");
  r = kms_request();
  replace(r, "/aws4_request", "");
  EXPECT_THAT(failure(check(r)).message, HasSubstr("Credential must have exactly 5 slash-delimited elements"));
}

TEST(SigV4Verify, TellsTokensAndKeysApart) {
  const auto with = [](std::string_view id, std::string_view token) {
    http::Request r = request("POST", "/");
    EXPECT_THAT(sign(r, Credentials::of(id, kSecret, token), "us-east-1", "kms", kNow), IsOk());
    return failure(check(r));
  };
  EXPECT_EQ(with("ASIA", "nonsense").message, "The security token included in the request is invalid");
  EXPECT_EQ(with("ASIA", "old").message, "The security token included in the request is expired");
  EXPECT_EQ(with("ASIA", "old").kind, FailureKind::kExpiredToken);
  EXPECT_EQ(with("AKIDX", "").message, "The security token included in the request is invalid.");
  EXPECT_EQ(with("ASIA", "").kind, FailureKind::kInvalidToken);
}

TEST(SigV4Verify, LastOfDuplicateParametersAndFirstOfDuplicateHeadersCount) {
  http::Request r = kms_request();
  replace(r, "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=x, Signature=y, ");
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r)));
  r = kms_request();
  r.headers.add("Authorization", "Bearer abc");
  EXPECT_TRUE(std::holds_alternative<Authenticated<std::string>>(check(r)));
}

TEST(SigV4Verify, NamesFailuresForBothProtocols) {
  EXPECT_EQ(json_error(FailureKind::kMismatch).code, "InvalidSignatureException");
  EXPECT_EQ(json_error(FailureKind::kInvalidToken).code, "UnrecognizedClientException");
  EXPECT_EQ(json_error(FailureKind::kMismatch).status, 400u);
  EXPECT_EQ(query_error(FailureKind::kMismatch).code, "SignatureDoesNotMatch");
  EXPECT_EQ(query_error(FailureKind::kInvalidToken).status, 403u);
}

TEST(SigV4, FindsTheServiceForRouting) {
  EXPECT_EQ(scoped_service(kms_request()), "kms");
  http::Request r = request("GET", "/");
  EXPECT_EQ(scoped_service(r), "");
  ASSERT_THAT(presign(r, Credentials::of("A", "b"), "us-east-1", "sts", kNow, std::chrono::seconds{60}), IsOk());
  EXPECT_EQ(scoped_service(r), "sts");
}

TEST(SigV4Canonical, EncodesAndNormalizes) {
  EXPECT_EQ(uri_encode("a/b ~é"), "a%2Fb%20~%C3%A9");
  EXPECT_EQ(uri_encode("a/b", Slash::kKeep), "a/b");
  EXPECT_THAT(uri_decode("%41%2f"), Eq("A/"));
  EXPECT_THAT(uri_decode("%4"), Eq(std::nullopt));
  EXPECT_THAT(canonical_path("/a/./b//c/../d/"), Eq("/a/b/d/"));
  EXPECT_THAT(canonical_path("/%2F"), Eq("/%252F"));
  EXPECT_THAT(canonical_path("a"), Eq(std::nullopt));
  EXPECT_EQ(canonical_query({{"b", "2"}, {"a", "z"}, {"a", "b"}, {"A", ""}}), "A=&a=b&a=z&b=2");
}

}  // namespace
}  // namespace casemate::sigv4
