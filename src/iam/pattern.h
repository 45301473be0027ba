// SPDX-License-Identifier: Apache-2.0
// Texts of policies with wildcards and variables: `*`, `?`, `${key}`, `${key, 'default'}`, `${*}`, `${?}`, `${$}`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "iam/context.h"

namespace casemate::iam {

// Inside a compiled pattern two bytes that UTF-8 never has stand for the wildcards, so that a literal `*` stays itself.
inline constexpr char kStarByte = '\xFF';
inline constexpr char kQuestionByte = '\xFE';

// compile_wildcards turns `*` and `?` into those bytes.
std::string compile_wildcards(std::string_view text);

// match_wildcards compares UTF-8 text with a compiled pattern; `?` takes one code point. Time is linear in the text for
// patterns without `?`, and at most text × pattern / 64 word operations otherwise.
bool match_wildcards(std::string_view compiled, std::string_view text);

// Pattern is a compiled pattern with its usual shapes told apart.
class Pattern {
 public:
  Pattern() = default;
  explicit Pattern(std::string compiled);
  bool matches(std::string_view text) const;
  const std::string& compiled() const { return compiled_; }

 private:
  enum class Shape { kLiteral, kEverything, kPrefix, kGeneral };
  std::string compiled_;
  Shape shape_ = Shape::kLiteral;
};

enum class Wildcards { kLiteral, kActive };
enum class Variables { kLiteral, kActive };

// Template is a text of a policy that may hold variables.
class Template {
 public:
  Template() = default;
  // compile fails when a `${` is not closed or is empty.
  static std::optional<Template> compile(std::string_view text, Wildcards wildcards, Variables variables);

  bool has_variables() const { return has_variables_; }
  // fixed is the compiled text of a template without variables.
  const std::string& fixed() const { return parts_.empty() ? kEmpty : parts_.front().text; }
  // expand puts in the request's values, in which wildcards are plain characters. Empty when a variable has no value and
  // no default, or names a multi-valued key.
  std::optional<std::string> expand(const RequestContext& context) const;

 private:
  struct Part {
    std::string text;      // literal text, or the default
    std::string variable;  // folded key; empty for literal text
    bool has_default = false;
  };
  static const std::string kEmpty;

  std::vector<Part> parts_;
  bool has_variables_ = false;
};

// match_arn compares part by part, so that a `*` does not cross the first five colons. A pattern with fewer parts
// compares its last part with all that remains (for resources); ARN operators demand six.
enum class ArnShape { kAny, kComplete };
bool match_arn(std::string_view compiled, std::string_view text, ArnShape shape);

// ResourcePattern is one value of Resource or NotResource.
class ResourcePattern {
 public:
  static std::optional<ResourcePattern> compile(std::string_view text, Variables variables);
  enum class Match { kNo, kYes, kUnresolved };
  Match matches(std::string_view resource, const RequestContext& context) const;

 private:
  Template template_;
  bool everything_ = false;
};

}  // namespace casemate::iam
