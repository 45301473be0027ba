// SPDX-License-Identifier: Apache-2.0
#include "sdk/src/http_response.h"

#include <gmock/gmock.h>

#include "base/test_matchers.h"
#include "sdk/src/http_client.h"

namespace casemate::sdk {
namespace {

using testing::HasSubstr;

struct Parsed {
  http::Response response;
  bool keep_alive = false;
  std::size_t used = 0;
};

// parse feeds pieces of `step` bytes and then the end.
Result<Parsed> parse(std::string_view text, std::size_t step = 1, const ResponseLimits& limits = {}) {
  ResponseParser parser(limits);
  std::size_t used = 0;
  while (used < text.size() && !parser.done()) {
    const std::size_t count = TRY(parser.feed(as_bytes(text.substr(used, step))));
    EXPECT_GT(count, 0u);
    used += count;
  }
  TRY(parser.end());
  const bool keep_alive = parser.keep_alive();
  return Parsed{parser.take(), keep_alive, used};
}

TEST(HttpResponse, ReadsALengthInAnyPieces) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Type:  a/b \r\nContent-Length: 5\r\n\r\nhelloHTTP";
  for (const std::size_t step : {1u, 2u, 7u, 1000u}) {
    const auto parsed = parse(text, step);
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(parsed->response.status, 200u);
    EXPECT_EQ(*parsed->response.headers.find("content-type"), "a/b");
    EXPECT_EQ(parsed->response.body, "hello");
    EXPECT_TRUE(parsed->keep_alive);
    EXPECT_EQ(parsed->used, text.size() - 4);
  }
}

TEST(HttpResponse, ReadsChunksExtensionsAndTrailers) {
  const std::string text = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest";
  for (const std::size_t step : {1u, 3u, 1000u}) {
    const auto parsed = parse(text, step);
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(parsed->response.body, "abc0123456789");
    EXPECT_EQ(parsed->used, text.size() - 4);
  }
}

TEST(HttpResponse, ReadsToTheEndWithoutALength) {
  const auto parsed = parse("HTTP/1.0 500 Oops\r\n\r\nbody");
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->response.body, "body");
  EXPECT_FALSE(parsed->keep_alive);
}

TEST(HttpResponse, SkipsInformationalOnes) {
  const auto parsed = parse("HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(parsed->response.status, 204u);
  EXPECT_EQ(parsed->response.headers.find("x"), nullptr);
  EXPECT_FALSE(parsed->keep_alive);
}

TEST(HttpResponse, RefusesWhatTwoReadersCouldReadDifferently) {
  const char* const cases[] = {
      "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\na",
      "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
      "HTTP/1.1 200 OK\r\n: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
      "HTTP/2 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 101 Switching\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
  };
  for (const char* text : cases) {
    const auto parsed = parse(text);
    EXPECT_FALSE(parsed.ok()) << text;
    if (!parsed) {
      EXPECT_THAT(parsed, testing::AnyOf(IsError(ErrorCode::kMalformed), IsError(ErrorCode::kLimit))) << text;
    }
  }
  EXPECT_THAT(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), IsError(ErrorCode::kUnsupported));
  EXPECT_THAT(parse(std::string("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 27)), IsError(ErrorCode::kMalformed));
}

TEST(HttpResponse, KeepsItsLimits) {
  ResponseLimits limits;
  limits.head_bytes = 64;
  limits.headers = 2;
  limits.body_bytes = 4;
  limits.informational = 1;
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_THAT(parse(ok + "A: " + std::string(64, 'x') + "\r\n\r\n", 1, limits), IsError(ErrorCode::kLimit, HasSubstr("head of more than 64")));
  EXPECT_THAT(parse(ok + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", 1, limits), IsError(ErrorCode::kLimit, HasSubstr("2 headers")));
  EXPECT_THAT(parse(ok + "Content-Length: 5\r\n\r\nabcde", 1, limits), IsError(ErrorCode::kLimit, HasSubstr("body of 5")));
  EXPECT_THAT(parse(ok + "\r\nabcde", 1, limits), IsError(ErrorCode::kLimit));
  EXPECT_THAT(parse(ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 1, limits), IsError(ErrorCode::kLimit));
  EXPECT_THAT(parse("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + ok, 1, limits), IsError(ErrorCode::kLimit, HasSubstr("1xx")));
}

TEST(HttpResponse, TellsABrokenAnswerFromNone) {
  EXPECT_THAT(parse(""), IsError(ErrorCode::kUnavailable, HasSubstr("without an answer")));
  EXPECT_THAT(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"), IsError(ErrorCode::kUnavailable, HasSubstr("within the answer")));
}

TEST(Url, ReadsEndpointsAndRefusesTheRest) {
  const auto url = parse_url("https://localhost:4566/");
  ASSERT_THAT(url, IsOk());
  EXPECT_EQ(url->authority(), "localhost:4566");
  EXPECT_EQ(url->path, "");
  EXPECT_EQ(parse_url("http://169.254.169.254")->authority(), "169.254.169.254");
  EXPECT_EQ(parse_url("http://[fd00:ec2::254]:80/x")->authority(), "[fd00:ec2::254]");
  for (const char* text : {"", "localhost:1", "ftp://a", "https://", "https://a:0", "https://a:70000", "https://a:", "https://a b", "https://u@h",
                           "https://[::1", "http://a/?x", "https://a\r\nX: y"}) {
    EXPECT_THAT(parse_url(text), IsError(ErrorCode::kMalformed)) << text;
  }
}

}  // namespace
}  // namespace casemate::sdk
