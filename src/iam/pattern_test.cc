// SPDX-License-Identifier: Apache-2.0
#include "iam/pattern.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>

namespace casemate::iam {
namespace {

// naive is the definition: exponential, so only for short texts.
bool naive(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') return naive(pattern.substr(1), text) || (!text.empty() && naive(pattern, text.substr(1)));
  if (text.empty() || (pattern.front() != '?' && pattern.front() != text.front())) return false;
  return naive(pattern.substr(1), text.substr(1));
}

bool glob(std::string_view pattern, std::string_view text) {
  return match_wildcards(compile_wildcards(pattern), text);
}

TEST(Wildcards, MatchAsDefined) {
  EXPECT_TRUE(glob("", ""));
  EXPECT_TRUE(glob("*", ""));
  EXPECT_TRUE(glob("**", "abc"));
  EXPECT_FALSE(glob("?", ""));
  EXPECT_TRUE(glob("a*c", "abbc"));
  EXPECT_FALSE(glob("a*c", "abcd"));
  EXPECT_TRUE(glob("*ab*ab", "abab"));
  EXPECT_FALSE(glob("ab*ab", "aba")) << "head and tail must not overlap";
  EXPECT_TRUE(glob("*?a*", "xxa"));
  EXPECT_FALSE(glob("*", "\xFF") && glob("a", "\xFF"));
}

TEST(Wildcards, QuestionMarkTakesOneCodePoint) {
  EXPECT_TRUE(glob("a?b", "aéb"));
  EXPECT_FALSE(glob("a?b", "aééb"));
  EXPECT_TRUE(glob("*?é?*x", "__é\xF0\x9F\x98\x80x"));
  EXPECT_TRUE(glob("*a?", "xxaé"));
  EXPECT_TRUE(glob("*??*", "éé"));
  EXPECT_FALSE(glob("*??*", "é"));
  EXPECT_TRUE(glob("*?*?*?*", "aé\xE1\x88\xB4"));
}

RC_GTEST_PROP(Wildcards, EqualANaiveMatcher, ()) {
  const auto pattern = *rc::gen::resize(9, rc::gen::container<std::string>(rc::gen::element('a', 'b', '*', '?')));
  const auto text = *rc::gen::resize(14, rc::gen::container<std::string>(rc::gen::element('a', 'b')));
  RC_ASSERT(glob(pattern, text) == naive(pattern, text));
}

RC_GTEST_PROP(Wildcards, LongPiecesEqualANaiveMatcher, ()) {
  const auto piece = *rc::gen::container<std::string>(70, rc::gen::element('a', '?'));
  const auto head = *rc::gen::resize(20, rc::gen::container<std::string>(rc::gen::element('a', 'b')));
  const auto tail = *rc::gen::resize(90, rc::gen::container<std::string>(rc::gen::element('a', 'a', 'a', 'b')));
  RC_ASSERT(glob("*" + piece + "*", head + tail) == naive("*" + piece + "*", head + tail));
}

TEST(Wildcards, PathologicalPatternsStayQuick) {
  const std::string text(8192, 'a');
  std::string stars;
  for (int i = 0; i < 10'000; ++i) stars += "*a";
  std::string questions = "*";
  for (int i = 0; i < 4000; ++i) questions += "?a";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(glob(stars + "b", text));
  EXPECT_FALSE(glob(questions + "b*", text));
  EXPECT_FALSE(glob("*" + std::string(4096, 'a') + "b*", text));
  EXPECT_FALSE(glob("*" + std::string(4096, 'a') + "b" + std::string(4095, 'a') + "*", text));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{2});
}

TEST(Template, ExpandsVariablesWithDefaults) {
  RequestContext context;
  context.set("aws:username", "alice");
  context.set_list("aws:TagKeys", {"a"});
  context.set("star", "*");
  const auto expand = [&](std::string_view text, Variables variables = Variables::kActive) -> std::optional<std::string> {
    const auto compiled = Template::compile(text, Wildcards::kLiteral, variables);
    if (!compiled) return "refused";
    return compiled->expand(context);
  };
  EXPECT_EQ(expand("x/${aws:UserName}/y"), "x/alice/y");
  EXPECT_EQ(expand("${aws:username}${aws:username}"), "alicealice");
  EXPECT_EQ(expand("${no:key, 'team'}"), "team");
  EXPECT_EQ(expand("${no:key,''}"), "");
  EXPECT_EQ(expand("${no:key}"), std::nullopt);
  EXPECT_EQ(expand("${aws:TagKeys}"), std::nullopt) << "multi-valued";
  EXPECT_EQ(expand("${*}${?}${$}"), "*?$");
  EXPECT_EQ(expand("${aws:username}", Variables::kLiteral), "${aws:username}");
  EXPECT_EQ(expand("${aws:username"), "refused");
  EXPECT_EQ(expand("${}"), "refused");
  EXPECT_EQ(expand("${a:b, team}"), "refused");
}

TEST(Template, ValuesOfTheRequestAreNoWildcards) {
  RequestContext context;
  context.set("k:v", "*");
  context.set("k:hostile", "\xFF");
  const auto compiled = Template::compile("${k:v}*", Wildcards::kActive, Variables::kActive);
  ASSERT_TRUE(compiled);
  const auto text = compiled->expand(context);
  ASSERT_TRUE(text);
  EXPECT_TRUE(match_wildcards(*text, "*abc"));
  EXPECT_FALSE(match_wildcards(*text, "abc"));
  const auto hostile = Template::compile("${k:hostile}", Wildcards::kActive, Variables::kActive);
  EXPECT_EQ(hostile->expand(context), std::nullopt);
}

TEST(ArnPattern, StarsStayWithinTheirPart) {
  const auto arn = [](std::string_view pattern, std::string_view text, ArnShape shape = ArnShape::kComplete) {
    return match_arn(compile_wildcards(pattern), text, shape);
  };
  constexpr std::string_view kArn = "arn:aws:kms:us-east-1:111122223333:key/abc";
  EXPECT_TRUE(arn("arn:aws:kms:*:111122223333:key/*", kArn));
  EXPECT_TRUE(arn("arn:*:*:*:*:*", kArn));
  EXPECT_FALSE(arn("arn:aws:kms:*:key/*", kArn)) << "five parts";
  EXPECT_FALSE(arn("arn:aws:kms:*", kArn));
  EXPECT_TRUE(arn("arn:aws:kms:*", kArn, ArnShape::kAny)) << "the last part takes the rest";
  EXPECT_TRUE(arn("arn:aws:sns:us-east-1:1:topic:*", "arn:aws:sns:us-east-1:1:topic:a:b"));
  EXPECT_FALSE(arn("arn:aws:kms:us-east-1:1111*:key/abc", "arn:aws:kms:us-east-1:2222:key/abc"));
}

}  // namespace
}  // namespace casemate::iam
