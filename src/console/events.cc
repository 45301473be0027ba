// SPDX-License-Identifier: Apache-2.0
#include "console/events.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "sigv4/canonical.h"

namespace casemate::console {
namespace {

constexpr std::size_t kTextBytes = 200;

template <typename Number>
Result<Number> read_number(std::string_view name, std::string_view text) {
  Number out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return malformed("{}: want a number", name);
  return out;
}

char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool contains(std::string_view line, std::string_view folded) {
  return std::search(line.begin(), line.end(), folded.begin(), folded.end(),
                     [](char a, char b) { return fold(a) == b; }) != line.end();
}

const json::Value* path(const json::Value& event, std::initializer_list<std::string_view> names) {
  const json::Value* value = &event;
  for (const std::string_view name : names) {
    if (value == nullptr) return nullptr;
    value = value->find(name);
  }
  return value;
}

bool is_denied(const json::Value& event) {
  const json::Value* decision = path(event, {"additionalEventData", "casemate", "decision"});
  const std::string* outcome = decision == nullptr ? nullptr : decision->string_at("decision");
  if (outcome != nullptr) return *outcome != "Allowed";
  const std::string* error = event.string_at("errorCode");
  return error != nullptr && error->find("AccessDenied") != std::string::npos;
}

// Selector says which lines become rows. The cheap test on the text comes before any parsing.
class Selector {
 public:
  explicit Selector(const EventQuery& query) : query_(query), folded_(query.text) {
    for (char& c : folded_) c = fold(c);
  }
  std::optional<json::Object> row(std::string_view line, std::uint64_t offset) const {
    if (!folded_.empty() && !contains(line, folded_)) return std::nullopt;
    if (query_.denied_only && line.find("AccessDenied") == std::string_view::npos &&
        line.find("\"decision\"") == std::string_view::npos)
      return std::nullopt;
    const auto event = json::parse(line);
    if (!event.ok() || event->if_object() == nullptr) return std::nullopt;
    if (query_.denied_only && !is_denied(*event)) return std::nullopt;
    return summarize(*event, offset);
  }

 private:
  const EventQuery& query_;
  std::string folded_;
};

Result<std::string> read_span(int fd, std::uint64_t from, std::uint64_t size) {
  std::string out(static_cast<std::size_t>(size), '\0');
  os::FdSource source(fd, from, size);
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t got = TRY(source.read({reinterpret_cast<std::uint8_t*>(out.data()) + done, out.size() - done}));
    if (got == 0) break;
    done += got;
  }
  out.resize(done);
  return out;
}

struct Log {
  UniqueFd fd;
  std::uint64_t size = 0;
};

Result<std::optional<Log>> open_log(const os::Path& path) {
  auto fd = os::open(path, O_RDONLY);
  if (!fd.ok()) {
    if (fd.error().code() == ErrorCode::kNotFound) return std::optional<Log>{};
    return fd.error();
  }
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return errno_error(path.native());
  return std::optional<Log>(Log{fd.take(), static_cast<std::uint64_t>(status.st_size)});
}

json::Value page(json::Array rows, std::uint64_t next, bool end, std::uint64_t size) {
  return json::Object{{"events", std::move(rows)}, {"next", next}, {"end", end}, {"size", size}};
}

Result<json::Value> read_forward(const Log& log, const EventQuery& query, const EventLimits& limits) {
  const Selector selector(query);
  const std::uint64_t start = std::min(query.after.value_or(0), log.size);
  const std::string span =
      TRY(read_span(log.fd.get(), start, std::min<std::uint64_t>(log.size - start, limits.scanned_bytes)));
  json::Array rows;
  std::size_t at = 0;
  while (rows.size() < query.limit) {
    const std::size_t end = span.find('\n', at);
    if (end == std::string::npos) break;
    if (auto row = selector.row(std::string_view(span).substr(at, end - at), start + at)) rows.emplace_back(std::move(*row));
    at = end + 1;
  }
  const std::uint64_t next = start + at;
  // What is left may be a line that is being written.
  const bool end = rows.size() < query.limit && start + span.size() == log.size;
  return page(std::move(rows), next, end, log.size);
}

Result<json::Value> read_backward(const Log& log, const EventQuery& query, const EventLimits& limits) {
  const Selector selector(query);
  const std::uint64_t stop = std::min(query.before.value_or(log.size), log.size);
  const std::uint64_t start = stop > limits.scanned_bytes ? stop - limits.scanned_bytes : 0;
  const std::string span = TRY(read_span(log.fd.get(), start, stop - start));
  json::Array rows;
  // Lines between `first`, where a whole line begins, and `at`, just past a line end.
  const std::size_t first = start == 0 ? 0 : std::min(span.find('\n'), span.size() - 1) + 1;
  std::size_t at = span.rfind('\n') == std::string::npos ? 0 : span.rfind('\n') + 1;
  while (at > first && rows.size() < query.limit) {
    const std::size_t before = at == 1 ? std::string::npos : span.rfind('\n', at - 2);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    if (auto row = selector.row(std::string_view(span).substr(begin, at - 1 - begin), start + begin))
      rows.emplace_back(std::move(*row));
    at = begin;
  }
  std::uint64_t next = start + std::max(at, first);
  // A span without progress holds a part of a line longer than any that is written; it is passed over.
  if (at == 0 || next >= stop) next = start;
  return page(std::move(rows), next, next == 0, log.size);
}

}  // namespace

Result<EventQuery> parse_event_query(std::string_view text, const EventLimits& limits) {
  const auto parameters = sigv4::parse_query(text);
  if (!parameters) return malformed("query: broken escape");
  EventQuery query;
  for (const auto& [name, value] : *parameters) {
    if (name == "before") {
      query.before = TRY(read_number<std::uint64_t>(name, value));
    } else if (name == "after") {
      query.after = TRY(read_number<std::uint64_t>(name, value));
    } else if (name == "limit") {
      query.limit = TRY(read_number<std::size_t>(name, value));
      if (query.limit == 0 || query.limit > limits.page)
        return over_limit("limit: {}, want 1 to {}", query.limit, limits.page);
    } else if (name == "denied") {
      if (value != "true" && value != "false") return malformed("denied: want true or false");
      query.denied_only = value == "true";
    } else if (name == "text") {
      if (value.size() > kTextBytes) return over_limit("text: {} bytes, limit {}", value.size(), kTextBytes);
      query.text = value;
    } else {
      return malformed("query: unknown parameter");
    }
  }
  if (query.before && query.after) return malformed("before, after: want one of them");
  return query;
}

json::Object summarize(const json::Value& event, std::uint64_t offset) {
  json::Object out{{"offset", offset}};
  const auto copy = [&out](std::string_view name, const json::Value* value) {
    if (value != nullptr && value->if_string() != nullptr) out.set(name, *value->if_string());
  };
  copy("time", event.find("eventTime"));
  copy("name", event.find("eventName"));
  copy("source", event.find("eventSource"));
  copy("principal", path(event, {"userIdentity", "arn"}));
  copy("error", event.find("errorCode"));
  copy("requestId", event.find("requestID"));
  copy("outcome", path(event, {"additionalEventData", "casemate", "decision", "decision"}));
  copy("cause", path(event, {"additionalEventData", "casemate", "decision", "cause"}));
  if (const json::Value* resources = event.find("resources"); resources != nullptr) {
    if (const json::Array* list = resources->if_array(); list != nullptr && !list->empty())
      copy("resource", list->front().find("ARN"));
  }
  if (path(event, {"additionalEventData", "recipient"}) != nullptr) out.set("attested", true);
  return out;
}

Result<json::Value> read_events(const os::Path& path, const EventQuery& query, const EventLimits& limits) {
  const auto log = TRY(open_log(path));
  if (!log || log->size == 0) return page({}, 0, true, 0);
  return query.after ? read_forward(*log, query, limits) : read_backward(*log, query, limits);
}

Result<json::Value> read_event(const os::Path& path, std::uint64_t offset, const EventLimits& limits) {
  const auto log = TRY(open_log(path));
  if (!log || offset >= log->size) return not_found("no event at {}", offset);
  const std::uint64_t from = offset == 0 ? 0 : offset - 1;
  const std::string span =
      TRY(read_span(log->fd.get(), from, std::min<std::uint64_t>(log->size - from, limits.line_bytes + 1)));
  const std::size_t begin = offset == 0 ? 0 : 1;
  if (begin == 1 && (span.empty() || span.front() != '\n')) return not_found("no event at {}", offset);
  const std::size_t end = span.find('\n', begin);
  if (end == std::string::npos) return over_limit("event at {}: more than {} bytes", offset, limits.line_bytes);
  return json::parse(std::string_view(span).substr(begin, end - begin));
}

}  // namespace casemate::console
