// SPDX-License-Identifier: Apache-2.0
#include "json/value.h"

#include <gmock/gmock.h>

#include "base/test_matchers.h"

namespace casemate::json {
namespace {

using testing::HasSubstr;

TEST(JsonParse, KeepsOrderAndExactIntegers) {
  const auto value = parse(R"( {"b":1,"a":[true,null,"x\u00e9\ud83d\ude00",18446744073709551615,-1.5]} )");
  ASSERT_THAT(value, IsOk());
  EXPECT_EQ(encode(*value), "{\"b\":1,\"a\":[true,null,\"x\u00e9\U0001F600\",18446744073709551615,-1.5]}");
}

TEST(JsonParse, RefusesDuplicateNames) {
  EXPECT_THAT(parse(R"({"a":1,"a":2})"), IsError(ErrorCode::kMalformed, HasSubstr("\"a\" occurs twice")));
}

TEST(JsonParse, RefusesDuplicateNamesInLargeObjects) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += fmt::format("\"k{}\":{},", i, i);
  EXPECT_THAT(parse(text + "\"k99\":0}"), IsError(ErrorCode::kMalformed, HasSubstr("k99")));
  EXPECT_THAT(parse(text + "\"k100\":0}"), IsOk());
}

TEST(JsonParse, RefusesDepthBeyondLimit) {
  EXPECT_THAT(parse(std::string(33, '[') + std::string(33, ']')), IsError(ErrorCode::kLimit, HasSubstr("deeper than 32")));
  EXPECT_THAT(parse(std::string(32, '[') + std::string(32, ']')), IsOk());
}

TEST(JsonParse, RefusesTooManyValues) {
  Limits limits;
  limits.values = 3;
  EXPECT_THAT(parse("[1,2]", limits), IsOk());
  EXPECT_THAT(parse("[1,2,3]", limits), IsError(ErrorCode::kLimit, HasSubstr("3 values")));
}

TEST(JsonParse, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1} x", "{} {}", "'a'", "\"\\ud800\"", "\"\xff\"", "01", "nul", "[1] ]", "\"a\nb\""}) {
    EXPECT_THAT(parse(text), IsError(ErrorCode::kMalformed)) << text;
  }
}

TEST(JsonParse, RefusesLongInput) {
  Limits limits;
  limits.input_bytes = 4;
  EXPECT_THAT(parse("[1,2]", limits), IsError(ErrorCode::kLimit, HasSubstr("5 bytes, at most 4")));
}

TEST(JsonParse, RefusesNumbersThatADoubleCannotHold) {
  for (const std::string& text : {std::string("[1e309]"), std::string("[-1e309]"), "{\"a\":" + std::string(310, '9') + "}"}) {
    const auto value = parse(text);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_THAT(value.error().message(), HasSubstr("number beyond"));
  }
  EXPECT_EQ(encode(*parse("[1.7e308,1e-400]")), "[1.7e+308,0]");
}

TEST(JsonEncode, EscapesWhereverTheByteStands) {
  for (std::size_t length = 1; length <= 20; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (int byte = 1; byte < 0x80; ++byte) {
        std::string text(length, '\x7f');
        text[at] = static_cast<char>(byte);
        const std::string written = encode(Value(text));
        EXPECT_EQ(written.size() > length + 2, byte < 0x20 || byte == '"' || byte == '\\') << written;
        const auto read = parse(written);
        ASSERT_THAT(read, IsOk()) << written;
        EXPECT_EQ(*read->if_string(), text);
      }
    }
  }
  EXPECT_EQ(encode(Object{{"a\"b", "\u00e9"}, {"c", Object{}}}), "{\"a\\\"b\":\"\u00e9\",\"c\":{}}");
}

TEST(JsonEncode, PrettyMatchesSerdeJson) {
  const Value value = Object{{"a", Array{1, 2}}, {"e", Object{}}, {"f", Array{}}, {"s", "q\"\\\n\x01"}};
  EXPECT_EQ(encode_pretty(value),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"e\": {},\n  \"f\": [],\n  \"s\": \"q\\\"\\\\\\n\\u0001\"\n}");
}

TEST(JsonObject, SetReplacesInPlace) {
  Object object{{"a", 1}, {"b", 2}};
  object.set("a", 3);
  EXPECT_EQ(encode(object), R"({"a":3,"b":2})");
}

}  // namespace
}  // namespace casemate::json
