// SPDX-License-Identifier: Apache-2.0
#include "audit/seal.h"

#include <charconv>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace casemate::audit {
namespace {

constexpr std::string_view kOpen = R"(,"casemate":{"sequence":)";
constexpr std::string_view kPrevious = R"(,"previous":")";
constexpr std::string_view kHash = R"(","hash":")";
constexpr std::string_view kClose = R"("}})";
constexpr std::size_t kHashDigits = 64;

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string hash_of(std::string_view sealed) {
  return encode_hex(crypto::sha256(as_bytes(sealed)));
}

// take_back removes a suffix, or says that it is not there.
bool take_back(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

bool take_back_hash(std::string_view& text, std::string_view& hash) {
  if (text.size() < kHashDigits) return false;
  hash = text.substr(text.size() - kHashDigits);
  text.remove_suffix(kHashDigits);
  return is_hash(hash);
}

}  // namespace

std::string seal_line(std::string event, Link& last) {
  CASEMATE_CHECK(event.size() > 2 && event.front() == '{' && event.back() == '}');
  std::string line = std::move(event);
  line.reserve(line.size() + 256);
  line.pop_back();
  line.append(kOpen).append(std::to_string(last.sequence + 1));
  line.append(kPrevious).append(last.hash);
  ++last.sequence;
  last.hash = hash_of(line);
  line.append(kHash).append(last.hash).append(kClose);
  return line;
}

Result<Sealed> check_line(std::string_view line) {
  const auto none = [] { return malformed("no seal, want a last member casemate"); };
  Sealed out;
  std::string_view rest = line;
  if (!take_back(rest, kClose) || !take_back_hash(rest, out.hash) || !take_back(rest, kHash)) return none();
  const std::string_view sealed = rest;
  if (!take_back_hash(rest, out.previous) || !take_back(rest, kPrevious)) return none();
  const std::size_t open = rest.rfind(kOpen);
  if (open == std::string_view::npos || open == 0) return none();
  const std::string_view number = rest.substr(open + kOpen.size());
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.sequence);
  if (error != std::errc{} || end != number.data() + number.size()) return none();
  // The seal ends before `","hash"`: the quotation mark that closes `previous` is checked by its place.
  if (hash_of(sealed) != out.hash) return untrusted("changed");
  return out;
}

Result<void> check_next(std::string_view line, Link& last) {
  const Sealed sealed = TRY(check_line(line));
  if (sealed.previous != last.hash) return untrusted("does not follow the event before");
  if (sealed.sequence != last.sequence + 1)
    return untrusted("event {}, want {}", sealed.sequence, last.sequence + 1);
  last = {sealed.sequence, std::string(sealed.hash)};
  return {};
}

std::string head_text(const Link& link) {
  return fmt::format("{:020} {}\n", link.sequence, link.hash);
}

Result<Link> parse_head(std::string_view text) {
  Link link;
  if (text.size() != kHeadSize || text[20] != ' ' || text.back() != '\n') return malformed("audit head: want 86 bytes");
  const auto [end, error] = std::from_chars(text.data(), text.data() + 20, link.sequence);
  link.hash = text.substr(21, kHashDigits);
  if (error != std::errc{} || end != text.data() + 20 || !is_hash(link.hash)) return malformed("audit head: unreadable");
  return link;
}

}  // namespace casemate::audit
