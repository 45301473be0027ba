// SPDX-License-Identifier: Apache-2.0
#include "iam/pattern.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace casemate::iam {
namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// step_over is the length of the code point at the front.
std::size_t step_over(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && is_continuation(text[length])) ++length;
  return length;
}

// match_front matches a piece without stars at the front of the text and gives the length that it took.
std::optional<std::size_t> match_front(std::string_view piece, std::string_view text) {
  std::size_t at = 0;
  for (const char c : piece) {
    if (at >= text.size()) return std::nullopt;
    if (c == kQuestionByte) {
      at += step_over(text.substr(at));
    } else if (text[at++] != c) {
      return std::nullopt;
    }
  }
  return at;
}

bool match_back(std::string_view piece, std::string_view text) {
  std::size_t at = text.size();
  for (std::size_t i = piece.size(); i-- > 0;) {
    if (at == 0) return false;
    --at;
    if (piece[i] == kQuestionByte) {
      while (at > 0 && is_continuation(text[at])) --at;
    } else if (text[at] != piece[i]) {
      return false;
    }
  }
  return true;
}

// find_with_questions runs the piece as a bit-parallel automaton (Shift-And): bit i says that piece[0..i] ends here. A
// `?` starts at a first byte and stays lit over that code point's continuation bytes.
std::optional<std::size_t> find_with_questions(std::string_view piece, std::string_view text) {
  const std::size_t words = (piece.size() + 63) / 64;
  std::vector<std::uint64_t> masks(256 * words);
  std::vector<std::uint64_t> questions(words);
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    if (piece[i] != kQuestionByte) {
      masks[static_cast<unsigned char>(piece[i]) * words + i / 64] |= bit;
      continue;
    }
    questions[i / 64] |= bit;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (is_continuation(static_cast<char>(byte))) continue;
    for (std::size_t w = 0; w < words; ++w) masks[byte * words + w] |= questions[w];
  }
  const std::size_t last = piece.size() - 1;
  std::vector<std::uint64_t> state(words);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::uint64_t* mask = &masks[static_cast<unsigned char>(text[at]) * words];
    const bool continues = is_continuation(text[at]);
    std::uint64_t carry = 1;
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint64_t shifted = (state[w] << 1 | carry) & mask[w];
      carry = state[w] >> 63;
      state[w] = shifted | (continues ? state[w] & questions[w] : 0);
    }
    if ((state[last / 64] >> (last % 64) & 1) != 0) {
      std::size_t end = at + 1;
      if (piece[last] == kQuestionByte) {
        while (end < text.size() && is_continuation(text[end])) ++end;
      }
      return end;
    }
  }
  return std::nullopt;
}

// find_piece gives the end of the leftmost match.
std::optional<std::size_t> find_piece(std::string_view piece, std::string_view text) {
  if (piece.size() > text.size()) return std::nullopt;
  if (piece.find(kQuestionByte) != std::string_view::npos) return find_with_questions(piece, text);
  // memmem is linear (two-way); string_view::find is not.
  const void* hit = ::memmem(text.data(), text.size(), piece.data(), piece.size());
  if (hit == nullptr) return std::nullopt;
  return static_cast<std::size_t>(static_cast<const char*>(hit) - text.data()) + piece.size();
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool has_wildcard_bytes(std::string_view text) {
  return text.find(kStarByte) != std::string_view::npos || text.find(kQuestionByte) != std::string_view::npos;
}

}  // namespace

std::string compile_wildcards(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c == '*') c = kStarByte;
    if (c == '?') c = kQuestionByte;
  }
  return out;
}

bool match_wildcards(std::string_view compiled, std::string_view text) {
  const std::size_t first_star = compiled.find(kStarByte);
  const auto head = match_front(compiled.substr(0, first_star), text);
  if (!head) return false;
  text.remove_prefix(*head);
  if (first_star == std::string_view::npos) return text.empty();

  // The leftmost place of each piece between stars leaves the most to the next, so that no choice is ever undone.
  compiled.remove_prefix(first_star + 1);
  while (true) {
    const std::size_t star = compiled.find(kStarByte);
    if (star == std::string_view::npos) return match_back(compiled, text);
    const std::string_view piece = compiled.substr(0, star);
    if (!piece.empty()) {
      const auto end = find_piece(piece, text);
      if (!end) return false;
      text.remove_prefix(*end);
    }
    compiled.remove_prefix(star + 1);
  }
}

Pattern::Pattern(std::string compiled) : compiled_(std::move(compiled)) {
  const std::size_t star = compiled_.find(kStarByte);
  if (compiled_.find(kQuestionByte) != std::string::npos) {
    shape_ = Shape::kGeneral;
  } else if (star == std::string::npos) {
    shape_ = Shape::kLiteral;
  } else if (compiled_.size() == 1) {
    shape_ = Shape::kEverything;
  } else {
    shape_ = star + 1 == compiled_.size() ? Shape::kPrefix : Shape::kGeneral;
  }
}

bool Pattern::matches(std::string_view text) const {
  switch (shape_) {
    case Shape::kLiteral: return text == compiled_;
    case Shape::kEverything: return true;
    case Shape::kPrefix: return text.starts_with(std::string_view(compiled_).substr(0, compiled_.size() - 1));
    case Shape::kGeneral: return match_wildcards(compiled_, text);
  }
  return false;
}

const std::string Template::kEmpty;

std::optional<Template> Template::compile(std::string_view text, Wildcards wildcards, Variables variables) {
  Template out;
  std::string literal;
  const auto add_literal = [&](std::string_view piece) {
    literal += wildcards == Wildcards::kActive ? compile_wildcards(piece) : std::string(piece);
  };
  const auto flush = [&] {
    if (!literal.empty()) out.parts_.push_back({std::move(literal), {}, false});
    literal.clear();
  };
  while (!text.empty()) {
    const std::size_t open = variables == Variables::kActive ? text.find("${") : std::string_view::npos;
    add_literal(text.substr(0, open));
    if (open == std::string_view::npos) break;
    text.remove_prefix(open + 2);
    const std::size_t close = text.find('}');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view inner = trim(text.substr(0, close));
    text.remove_prefix(close + 1);
    if (inner.empty()) return std::nullopt;
    if (inner == "*" || inner == "?" || inner == "$") {
      literal += inner;
      continue;
    }
    flush();
    const std::size_t comma = inner.find(',');
    Part part;
    part.variable = fold(trim(inner.substr(0, comma)));
    if (part.variable.empty()) return std::nullopt;
    if (comma != std::string_view::npos) {
      const std::string_view quoted = trim(inner.substr(comma + 1));
      if (quoted.size() < 2 || quoted.front() != '\'' || quoted.back() != '\'') return std::nullopt;
      part.text = quoted.substr(1, quoted.size() - 2);
      part.has_default = true;
    }
    out.parts_.push_back(std::move(part));
    out.has_variables_ = true;
  }
  flush();
  return out;
}

std::optional<std::string> Template::expand(const RequestContext& context) const {
  std::string out;
  for (const Part& part : parts_) {
    if (part.variable.empty()) {
      out += part.text;
      continue;
    }
    const RequestContext::Entry* entry = context.find(part.variable);
    if (entry != nullptr && entry->list) return std::nullopt;
    if (entry == nullptr && !part.has_default) return std::nullopt;
    const std::string& value = entry == nullptr ? part.text : entry->values().front();
    if (has_wildcard_bytes(value)) return std::nullopt;
    out += value;
  }
  return out;
}

bool match_arn(std::string_view compiled, std::string_view text, ArnShape shape) {
  constexpr int kParts = 6;
  for (int part = 1;; ++part) {
    const std::size_t colon = part == kParts ? std::string_view::npos : compiled.find(':');
    if (colon == std::string_view::npos) {
      if (shape == ArnShape::kComplete && part != kParts) return false;
      return match_wildcards(compiled, text);
    }
    const std::size_t cut = text.find(':');
    if (cut == std::string_view::npos || !match_wildcards(compiled.substr(0, colon), text.substr(0, cut))) return false;
    compiled.remove_prefix(colon + 1);
    text.remove_prefix(cut + 1);
  }
}

std::optional<ResourcePattern> ResourcePattern::compile(std::string_view text, Variables variables) {
  auto compiled = Template::compile(text, Wildcards::kActive, variables);
  if (!compiled) return std::nullopt;
  ResourcePattern out;
  out.everything_ = text == "*";
  out.template_ = std::move(*compiled);
  return out;
}

ResourcePattern::Match ResourcePattern::matches(std::string_view resource, const RequestContext& context) const {
  const auto verdict = [](bool matched) { return matched ? Match::kYes : Match::kNo; };
  if (everything_) return Match::kYes;
  if (!template_.has_variables()) return verdict(match_arn(template_.fixed(), resource, ArnShape::kAny));
  const auto expanded = template_.expand(context);
  if (!expanded) return Match::kUnresolved;
  return verdict(match_arn(*expanded, resource, ArnShape::kAny));
}

}  // namespace casemate::iam
