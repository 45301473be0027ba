// SPDX-License-Identifier: Apache-2.0
#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace casemate::http {
namespace {

using State = RequestParser::State;

unsigned rejected_status(std::string_view text, RequestLimits limits = {}) {
  RequestParser parser(limits);
  parser.feed(text);
  return parser.state() == State::kRejected ? parser.rejection().status : 0;
}

TEST(RequestParser, ReadsLineHeadersAndSizedBody) {
  RequestParser parser;
  const std::string_view text =
      "POST /a?b=c HTTP/1.1\r\nHost: kms\r\nX-Odd:  two words \t\r\nContent-Length: 5\r\n\r\nhelloGET";
  EXPECT_EQ(parser.feed(text), text.size() - 3);
  ASSERT_EQ(parser.state(), State::kDone);
  EXPECT_TRUE(parser.keep_alive());
  const Request request = parser.take();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path(), "/a");
  EXPECT_EQ(request.query(), "b=c");
  EXPECT_EQ(*request.headers.find("x-odd"), "two words");
  EXPECT_EQ(request.body, "hello");
  EXPECT_EQ(parser.state(), State::kHead);
}

TEST(RequestParser, ReadsChunksAndDropsTrailers) {
  RequestParser parser;
  parser.feed(
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "Chunked\r\n\r\n4;x=\"y\"\r\nabcd\r\n00A\r\n0123456789\r\n0\r\nHost: b\r\nAuthorization: c\r\n\r\n");
  ASSERT_EQ(parser.state(), State::kDone);
  const Request request = parser.take();
  EXPECT_EQ(request.body, "abcd0123456789");
  EXPECT_EQ(request.headers.size(), 2U);
}

// Wherever the bytes are cut, the outcome is the same.
TEST(RequestParser, GivesTheSameForEveryCut) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    RequestParser parser;
    std::string pending = text.substr(0, cut);
    pending.erase(0, parser.feed(pending));
    pending += text.substr(cut);
    pending.erase(0, parser.feed(pending));
    ASSERT_EQ(parser.state(), State::kDone) << cut;
    EXPECT_TRUE(pending.empty());
    EXPECT_EQ(parser.take().body, "abc");
  }
  RequestParser parser;
  std::string pending;
  for (const char c : text) {
    pending += c;
    pending.erase(0, parser.feed(pending));
  }
  EXPECT_EQ(parser.state(), State::kDone);
}

TEST(RequestParser, RefusesFormsOnWhichParsersDisagree) {
  const std::string_view bodies[] = {
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      "Content-Length: 3\r\ncontent-length: 4\r\n\r\nabc",
      "Content-Length: 3, 3\r\n\r\nabc",
      "Content-Length: +3\r\n\r\nabc",
      "Content-Length: -1\r\n\r\n",
      "Content-Length: 0x3\r\n\r\nabc",
      "Content-Length: 99999999999999999999\r\n\r\n",
      "Content-Length:\r\n\r\n",
      "Content-Length : 3\r\n\r\nabc",
      "X: a\r\n Content-Length: 3\r\n\r\nabc",
      "X: a\r\n\tb\r\n\r\n",
      "X: a\nY: b\r\n\r\n",
      "X: a\rY: b\r\n\r\n",
      "no colon\r\n\r\n",
      ": nameless\r\n\r\n",
      "N\x01: a\r\n\r\n",
      "Host: b\r\n\r\n",
  };
  for (const auto body : bodies)
    EXPECT_EQ(rejected_status("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(body)), 400U) << body;
  EXPECT_EQ(rejected_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501U);
  EXPECT_EQ(
      rejected_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
      501U);
  EXPECT_EQ(rejected_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
                            "chunked\r\n\r\n"),
            400U);
  EXPECT_EQ(rejected_status("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400U);
}

TEST(RequestParser, RefusesBadChunking) {
  for (const std::string_view chunks :
       {"zz\r\n", "-1\r\n", "0x3\r\nabc\r\n", " 3\r\nabc\r\n", "3 \r\nabc\r\n", "\r\n", "3\r\nabcd\r\n", "3\r\nabcXX",
        "3\nabc\n0\n\n", "ffffffffffffffff\r\n", "3;\x01\r\nabc", "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"}) {
    const unsigned status =
        rejected_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(chunks));
    EXPECT_EQ(status, 400U) << chunks;
  }
  EXPECT_EQ(
      rejected_status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(2000, '1')),
      400U);
}

TEST(RequestParser, RefusesOtherProtocolsAndMalformedLines) {
  EXPECT_EQ(rejected_status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505U);
  EXPECT_EQ(rejected_status("GET /\r\n\r\n"), 400U);
  EXPECT_EQ(rejected_status("GET / HTTP/1.1 \r\n\r\n"), 400U);
  EXPECT_EQ(rejected_status("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(rejected_status("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(rejected_status("GET / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(rejected_status("GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"), 417U);
}

TEST(RequestParser, HoldsLimits) {
  EXPECT_EQ(rejected_status("GET /" + std::string(100, 'a'), {.head_bytes = 64}), 431U);
  EXPECT_EQ(rejected_status("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n", {.header_fields = 2}), 431U);
  EXPECT_EQ(rejected_status("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", {.body_bytes = 10}), 413U);
  EXPECT_EQ(rejected_status("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n",
                            {.body_bytes = 10}),
            413U);
}

TEST(RequestParser, KnowsWhoWantsToStay) {
  RequestParser parser;
  parser.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n");
  EXPECT_FALSE(parser.keep_alive());
  RequestParser older;
  older.feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(older.state(), State::kDone);
  EXPECT_FALSE(older.keep_alive());
}

// Found by fuzzing: cut into bytes, any number of empty lines was ignored.
TEST(RequestParser, IgnoresOneEmptyLineHoweverItArrives) {
  for (const bool cut : {false, true}) {
    RequestParser parser;
    std::string pending;
    for (const char c : std::string_view("\r\n\r\nGET / HTTP/1.0\r\n\r\n")) {
      pending += c;
      if (cut) pending.erase(0, parser.feed(pending));
    }
    parser.feed(pending);
    EXPECT_EQ(parser.state(), State::kRejected);
  }
}

TEST(RequestParser, AsksForTheBodyOnce) {
  RequestParser parser;
  parser.feed("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(parser.wants_continue());
  parser.feed("a");
  EXPECT_FALSE(parser.wants_continue());
}

}  // namespace
}  // namespace casemate::http
