// SPDX-License-Identifier: Apache-2.0
#include "casemate/message.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/test_matchers.h"

namespace casemate::message {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(Framer, EndsWithTheObjectWhateverIsInItsStrings) {
  for (const char* text : {R"({})", R"( {"a": "}{\"}"})", "\n{\n\"a\":\n\"b\\\\\"\n}", R"({"a": {"b": ["}"]}})"}) {
    Framer framer;
    const std::string_view view = text;
    for (std::size_t i = 0; i + 1 < view.size(); ++i) {
      EXPECT_THAT(framer.feed(as_bytes(view.substr(i, 1))), IsOkAnd(Framer::State::kMore)) << text << " at " << i;
    }
    EXPECT_THAT(framer.feed(as_bytes(std::string(1, view.back()) + "next")), IsOkAnd(Framer::State::kComplete)) << text;
    EXPECT_EQ(framer.text(), text);
    EXPECT_THAT(framer.end(), IsOk());
  }
}

TEST(Framer, RefusesAtOnceWhatIsNoObject) {
  for (const char* text : {"x", "[", "\"", "1", "}", "\xff"}) {
    Framer framer;
    EXPECT_THAT(framer.feed(as_bytes(text)), IsError(ErrorCode::kMalformed)) << text;
  }
}

TEST(Framer, KeepsItsLimit) {
  Framer framer(Limits{4});
  EXPECT_THAT(framer.feed(as_bytes("{  }")), IsOkAnd(Framer::State::kComplete));
  Framer longer(Limits{4});
  EXPECT_THAT(longer.feed(as_bytes("{   }")), IsError(ErrorCode::kLimit, HasSubstr("4 bytes")));
}

TEST(Parse, TakesStringsOnly) {
  const auto fields = parse(R"({"b": "1", "a": "\u00e9\n"})");
  ASSERT_THAT(fields, IsOk());
  EXPECT_EQ(*fields->find("a"), "\u00e9\n");
  EXPECT_EQ(encode(*fields), "{\"b\": \"1\", \"a\": \"\u00e9\\n\"}");
  EXPECT_THAT(fields->require("c"), IsError(ErrorCode::kMalformed, HasSubstr("\"c\"")));
  for (const char* text : {"", "[]", "1", R"({"a": 1})", R"({"a": {}})", R"({"a": null})", R"({"a": "1", "a": "2"})", "{} {}"}) {
    EXPECT_FALSE(parse(text).ok()) << text;
  }
}

TEST(Receive, TellsTheEndTheTimeAndTheMessage) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  UniqueFd a(fds[0]);
  UniqueFd b(fds[1]);
  ASSERT_THAT(send(a.get(), {{"k", "v"}}, 1s), IsOk());
  const auto fields = receive(b.get(), 1s);
  ASSERT_THAT(fields, IsOk());
  EXPECT_EQ(*fields->find("k"), "v");
  // The newline after a message is white space before the next.
  EXPECT_THAT(receive(b.get(), 20ms), IsError(ErrorCode::kUnavailable, HasSubstr("in time")));
  ASSERT_EQ(::send(a.get(), "{\"k\"", 4, 0), 4);
  a.reset();
  EXPECT_THAT(receive(b.get(), 1s), IsError(ErrorCode::kMalformed, HasSubstr("before its object does")));
}

TEST(Send, ToAPeerThatIsGoneIsAnError) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  UniqueFd a(fds[0]);
  ::close(fds[1]);
  EXPECT_THAT(send(a.get(), {{"k", "v"}}, 1s), IsError(ErrorCode::kUnavailable));
  finish(a.get(), 10ms);
}

}  // namespace
}  // namespace casemate::message
