// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/time_text.h"

namespace casemate::query {
namespace {

constexpr std::size_t kMostParameters = 2000;
constexpr std::size_t kMostMembers = 200;
constexpr std::size_t kShownValue = 256;

}  // namespace

std::optional<Parameters> Parameters::read(const http::Request& request) {
  std::string text(request.method == "POST" ? std::string_view(request.body) : request.query());
  if (std::count(text.begin(), text.end(), '&') >= static_cast<std::ptrdiff_t>(kMostParameters)) return std::nullopt;
  std::replace(text.begin(), text.end(), '+', ' ');
  auto parsed = sigv4::parse_query(text);
  if (!parsed) return std::nullopt;
  return Parameters(std::move(*parsed));
}

const std::string* Parameters::find(std::string_view name) const {
  const auto it = std::find_if(list_.begin(), list_.end(), [&](const auto& entry) { return entry.first == name; });
  return it == list_.end() ? nullptr : &it->second;
}

std::string_view Parameters::get(std::string_view name) const {
  const std::string* value = find(name);
  return value == nullptr ? std::string_view{} : std::string_view(*value);
}

std::vector<std::string> Parameters::list(std::string_view name) const {
  std::vector<std::string> out;
  while (out.size() < kMostMembers) {
    const std::string* value = find(fmt::format("{}.member.{}", name, out.size() + 1));
    if (value == nullptr) break;
    out.push_back(*value);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Parameters::pairs(std::string_view name) const {
  std::vector<std::pair<std::string, std::string>> out;
  while (out.size() < kMostMembers) {
    const std::string prefix = fmt::format("{}.member.{}.", name, out.size() + 1);
    const std::string* key = find(prefix + "Key");
    if (key == nullptr) break;
    out.emplace_back(*key, get(prefix + "Value"));
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      default:
        // XML 1.0 has no other control characters.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n' || c == '\r') out += c;
    }
  }
  return out;
}

std::string element(std::string_view name, std::string_view text) {
  return wrap(name, escape(text));
}

std::string wrap(std::string_view name, std::string_view xml) {
  return fmt::format("<{0}>{1}</{0}>", name, xml);
}

std::string members(std::string_view name, const std::vector<std::string>& items) {
  std::string inner;
  for (const std::string& item : items) inner += wrap("member", item);
  return wrap(name, inner);
}

std::string time_text(WallTime time) {
  return format_rfc3339(time);
}

http::Response result_response(std::string_view action, std::string_view xmlns, std::string_view result,
                               std::string_view request_id) {
  http::Response response;
  response.body = fmt::format(
      "<{0}Response xmlns=\"{1}\"><{0}Result>{2}</{0}Result><ResponseMetadata>{3}</ResponseMetadata></{0}Response>\n",
      action, xmlns, result, element("RequestId", request_id));
  return response;
}

http::Response error_response(const Fault& fault, std::string_view xmlns, std::string_view request_id) {
  http::Response response;
  response.status = fault.status;
  if (fault.code.empty()) return response;
  response.body = fmt::format("<ErrorResponse xmlns=\"{}\"><Error><Type>{}</Type>{}{}</Error>{}</ErrorResponse>\n", xmlns,
                              fault.status >= 500 ? "Receiver" : "Sender", element("Code", fault.code),
                              element("Message", fault.message), element("RequestId", request_id));
  return response;
}

std::string constraint_text(std::string_view value, std::string_view member, std::string_view constraint) {
  return fmt::format("1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: Member must {}",
                     value.substr(0, kShownValue), member, constraint);
}

std::string make_request_id(Rng& rng) {
  std::array<std::uint8_t, 16> bytes;
  rng.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  std::string text = encode_hex(bytes);
  for (const std::size_t dash : {std::size_t{8}, std::size_t{13}, std::size_t{18}, std::size_t{23}})
    text.insert(dash, 1, '-');
  return text;
}

}  // namespace casemate::query
