// SPDX-License-Identifier: Apache-2.0
#include "image/user.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace casemate::image {
namespace {

constexpr std::size_t kMaxGroups = 1024;  // what the launcher takes
constexpr std::uint32_t kMaxId = 0xfffffffe;

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > kMaxId) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// find_line gives the fields of the first line whose name, or else number in the third field, is `wanted`.
std::optional<std::vector<std::string_view>> find_line(std::string_view file, std::string_view wanted, std::size_t fields) {
  const auto wanted_number = number(wanted);
  std::optional<std::vector<std::string_view>> by_number;
  for (const std::string_view line : split(file, '\n')) {
    std::vector<std::string_view> parts = split(line, ':');
    if (parts.size() < fields) continue;
    const auto own = number(parts[2]);
    if (!own) continue;
    if (parts[0] == wanted) return parts;
    if (!by_number && wanted_number && *own == *wanted_number) by_number = std::move(parts);
  }
  return by_number;
}

std::string shown(std::string_view name) {
  std::string out(name.substr(0, 64));
  for (char& c : out) c = c < ' ' || c > '~' ? '?' : c;
  return out;
}

}  // namespace

Result<User> find_user(std::string_view text, std::string_view passwd, std::string_view group) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::string_view user_name = text.substr(0, colon);
  const std::string_view group_name = text.substr(std::min(colon + 1, text.size()));
  if (user_name.empty()) user_name = "0";
  User user;
  std::string_view name;
  if (const auto line = find_line(passwd, user_name, 6)) {
    name = (*line)[0];
    user.uid = number((*line)[2]).value_or(0);
    user.gid = number((*line)[3]).value_or(0);
    if (!(*line)[5].empty()) user.home = (*line)[5];
  } else if (const auto own = number(user_name)) {
    user.uid = *own;
  } else {
    return not_found("USER {}: not in the image's /etc/passwd", shown(user_name));
  }
  if (!group_name.empty()) {
    if (const auto line = find_line(group, group_name, 3)) {
      user.gid = number((*line)[2]).value_or(0);
    } else if (const auto own = number(group_name)) {
      user.gid = *own;
    } else {
      return not_found("USER {}: group {} is not in the image's /etc/group", shown(user_name), shown(group_name));
    }
    return user;
  }
  if (name.empty()) return user;
  for (const std::string_view line : split(group, '\n')) {
    const std::vector<std::string_view> parts = split(line, ':');
    if (parts.size() < 4 || user.groups.size() == kMaxGroups) continue;
    const auto own = number(parts[2]);
    const std::vector<std::string_view> members = split(parts[3], ',');
    if (own && std::find(members.begin(), members.end(), name) != members.end()) user.groups.push_back(*own);
  }
  return user;
}

}  // namespace casemate::image
