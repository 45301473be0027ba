// SPDX-License-Identifier: Apache-2.0
#include "kms/api/patterns.h"

#include <algorithm>

namespace casemate::kms::api::shapes {
namespace {

using std::string_view;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_alphanumeric(char c) {
  return is_letter(c) || is_digit(c);
}

// made_of: at least one character, each a letter, a digit or one of `also`.
bool made_of(string_view text, string_view also) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return is_alphanumeric(c) || also.find(c) != string_view::npos; });
}

bool all_digits(string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Latin-1 above the controls, in UTF-8: U+0080 to U+00FF are two bytes that begin with C2 or C3.
bool is_latin(string_view text, string_view also) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      if (byte > 0xc3) return false;
      ++i;
    } else if (byte < 0x20 && also.find(text[i]) == string_view::npos) {
      return false;
    }
  }
  return true;
}

bool take(string_view& text, string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

bool is_alias(string_view text) {
  return made_of(text, ":/_-");
}
bool is_hex(string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}
bool is_account(string_view text) {
  return text.size() == 12 && all_digits(text);
}
bool is_cluster(string_view text) {
  return take(text, "cluster-") && text.size() >= 11 && text.size() <= 16 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || (c >= '2' && c <= '7'); });
}
bool is_arn(string_view text) {
  if (!take(text, "arn:aws")) return false;
  for (const bool may_be_empty : {true, false, true}) {
    const std::size_t colon = text.find(':');
    if (colon == string_view::npos) return false;
    const string_view part = text.substr(0, colon);
    if (part.empty() ? !may_be_empty : !std::all_of(part.begin(), part.end(), [](char c) {
          return is_lower(c) || is_digit(c) || c == '-';
        })) {
      return false;
    }
    text.remove_prefix(colon + 1);
  }
  return text.size() > 13 && is_account(text.substr(0, 12)) && text[12] == ':';
}
bool is_text(string_view text) {
  return made_of(text, ":/_.- \t\n\r\f\v");
}
bool is_marker(string_view text) {
  return is_latin(text, "");
}
bool is_word(string_view text) {
  return made_of(text, "_");
}
bool is_policy(string_view text) {
  return !text.empty() && is_latin(text, "\t\n\r");
}
bool is_principal(string_view text) {
  return made_of(text, "_+=,.@:/-");
}
bool is_region(string_view text) {
  std::size_t words = 0;
  while (true) {
    const std::size_t dash = text.find('-');
    if (dash == string_view::npos) break;
    const string_view word = text.substr(0, dash);
    if (word.empty() || !std::all_of(word.begin(), word.end(), is_lower)) return false;
    text.remove_prefix(dash + 1);
    ++words;
  }
  return (words == 2 || words == 3) && all_digits(text);
}
bool is_service(string_view text) {
  std::size_t dots = 0;
  while (true) {
    const std::size_t dot = text.find('.');
    if (!made_of(text.substr(0, dot), "-")) return false;
    if (dot == string_view::npos) return dots >= 2;
    text.remove_prefix(dot + 1);
    ++dots;
  }
}
bool is_xks_key(string_view text) {
  return made_of(text, "-_.");
}
bool is_base32(string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7'); });
}
bool is_base64(string_view text) {
  return made_of(text, "/+=");
}
bool is_xks_endpoint(string_view text) {
  return take(text, "https://") && made_of(text, ".-");
}
bool is_xks_path(string_view text) {
  constexpr string_view kEnd = "/kms/xks/v";
  const std::size_t at = text.rfind(kEnd);
  if (at == string_view::npos) return false;
  const string_view version = text.substr(at + kEnd.size());
  if (!all_digits(version) || version.size() > 2) return false;
  const string_view prefix = text.substr(0, at);
  return prefix.empty() || (prefix.size() > 1 && prefix[0] == '/' && made_of(prefix, "/_-"));
}
bool is_vpce(string_view text) {
  if (!take(text, "com.") && !take(text, "eu.")) return false;
  if (!take(text, "amazonaws.vpce.")) return false;
  const std::size_t dot = text.find('.');
  if (dot == string_view::npos || !is_region(text.substr(0, dot))) return false;
  text.remove_prefix(dot + 1);
  return take(text, "vpce-svc-") && !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower(c) || is_digit(c); });
}

}  // namespace casemate::kms::api::shapes
