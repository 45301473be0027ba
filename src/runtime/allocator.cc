// SPDX-License-Identifier: Apache-2.0
#include "runtime/allocator.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "runtime/registry.h"

namespace casemate::runtime {
namespace {

constexpr std::size_t kFileBytes = 64 * 1024;
constexpr std::uint64_t kMaxCpu = 8191;  // CONFIG_NR_CPUS goes no further
constexpr std::uint64_t kMaxMemoryMib = std::uint64_t{1} << 40;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Result<std::uint64_t> number(std::string_view text, std::uint64_t highest) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > highest)
    return malformed("`{}`, want a number up to {}", text.substr(0, 32), highest);
  return value;
}

Result<std::vector<std::uint32_t>> cpu_list(std::string_view text) {
  std::set<std::uint32_t> cpus;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const auto dash = item.find('-');
    const std::uint64_t first = TRY(number(trim(item.substr(0, dash)), kMaxCpu));
    const std::uint64_t last = dash == std::string_view::npos ? first : TRY(number(trim(item.substr(dash + 1)), kMaxCpu));
    if (first > last) return malformed("`{}`, want the lower CPU first", item);
    for (std::uint64_t cpu = first; cpu <= last; ++cpu) cpus.insert(static_cast<std::uint32_t>(cpu));
  }
  if (cpus.empty()) return malformed("empty, want CPUs like 2,3,6-9");
  return std::vector<std::uint32_t>(cpus.begin(), cpus.end());
}

Result<void> read_key(Allocator& out, std::string_view key, std::string_view value) {
  if (key == "memory_mib") out.memory_mib = TRY(number(value, kMaxMemoryMib));
  else if (key == "cpu_count") out.cpu_count = static_cast<std::uint32_t>(TRY(number(value, kMaxCpu)));
  else if (key == "cpu_pool") out.cpu_pool = TRY(cpu_list(value));
  else return malformed("unknown, want memory_mib, cpu_count or cpu_pool");
  return {};
}

}  // namespace

std::vector<std::uint32_t> Allocator::pool(std::uint32_t machine_cpus) const {
  return cpu_count != 0 ? pick_cpus(cpu_count, machine_cpus, {}) : cpu_pool;
}

Result<Allocator> parse_allocator(std::string_view text) {
  Allocator out;
  std::set<std::string_view> seen;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    line = trim(line.substr(0, line.find('#')));
    if (line.empty() || line == "---") continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("line {}: want key: value", line_number);
    const std::string_view key = trim(line.substr(0, colon));
    std::string_view value = trim(line.substr(colon + 1));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    const std::string step = fmt::format("line {}: {}", line_number, key.substr(0, 32));
    if (!seen.insert(key).second) return malformed("{}: given twice", step);
    TRY(read_key(out, key, value).in(step));
  }
  if (out.cpu_count != 0 && !out.cpu_pool.empty()) return conflict("cpu_count and cpu_pool: want one of them");
  if (out.cpu_count == 0 && out.cpu_pool.empty()) return malformed("cpu_count or cpu_pool: missing");
  if (out.memory_mib == 0) return malformed("memory_mib: missing or 0");
  return out;
}

Result<std::optional<Allocator>> load_allocator(const os::Paths& paths) {
  const os::Path path = paths.home / "allocator.yaml";
  const Result<std::string> text = os::read_file(path, kFileBytes);
  if (!text && text.error().code() == ErrorCode::kNotFound) return std::optional<Allocator>();
  if (!text) return text.error();
  return std::optional<Allocator>(TRY(parse_allocator(*text).in(path.native())));
}

}  // namespace casemate::runtime
