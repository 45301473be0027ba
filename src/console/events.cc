// SPDX-License-Identifier: Apache-2.0
#include "console/events.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

#include "audit/files.h"
#include "sigv4/canonical.h"

namespace casemate::console {
namespace {

constexpr std::size_t kTextBytes = 200;
constexpr std::uint64_t kFileEnd = std::numeric_limits<std::uint64_t>::max();

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
  std::optional<json::Object> row(std::string_view line, const Place& place) const {
    if (!folded_.empty() && !contains(line, folded_)) return std::nullopt;
    if (query_.denied_only && line.find("AccessDenied") == std::string_view::npos &&
        line.find("\"decision\"") == std::string_view::npos)
      return std::nullopt;
    const auto event = json::parse(line);
    if (!event.ok() || event->if_object() == nullptr) return std::nullopt;
    if (query_.denied_only && !is_denied(*event)) return std::nullopt;
    return summarize(*event, place);
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

Result<std::uint64_t> size_of(int fd, const os::Path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errno_error(path.native());
  return static_cast<std::uint64_t>(status.st_size);
}

struct File {
  std::uint64_t first = 0;  // sequence number of its first event
  UniqueFd fd;
  std::uint64_t size = 0;
};

// Files of a log, oldest first, opened when they are read.
class Files {
 public:
  static Result<Files> look(const os::Path& current, const EventLimits& limits) {
    Files out;
    // The current file comes first: if it is put aside while we look, it is found among those put aside once more, and
    // left out there.
    auto fd = os::open(current, O_RDONLY);
    if (!fd.ok() && fd.error().code() != ErrorCode::kNotFound) return fd.error();
    auto aside = audit::rotated_files(current);
    if (!aside.ok() && aside.error().code() != ErrorCode::kNotFound) return aside.error();
    if (aside.ok()) {
      for (const os::Path& path : *aside) {
        const std::string name = path.stem().native();
        out.entries_.push_back({TRY(read_number<std::uint64_t>("file", name.substr(name.rfind('-') + 1))), path});
      }
    }
    if (!fd.ok()) return out;
    File file{0, fd.take(), 0};
    file.size = TRY(size_of(file.fd.get(), current));
    const std::string head = TRY(read_span(file.fd.get(), 0, std::min<std::uint64_t>(file.size, limits.line_bytes)));
    const std::size_t end = head.find('\n');
    if (end == std::string::npos) return out;  // no event is whole yet
    const auto event = json::parse(std::string_view(head).substr(0, end));
    const json::Value* seal = event.ok() ? event->find("casemate") : nullptr;
    const std::int64_t* sequence = seal == nullptr ? nullptr : seal->int_at("sequence");
    if (sequence != nullptr && *sequence > 0) file.first = static_cast<std::uint64_t>(*sequence);
    else if (!out.entries_.empty()) file.first = out.entries_.back().first + 1;
    std::erase_if(out.entries_, [&file](const Entry& entry) { return entry.first >= file.first; });
    out.entries_.push_back({file.first, current});
    out.current_ = std::move(file);
    return out;
  }

  std::size_t count() const { return entries_.size(); }
  std::uint64_t first(std::size_t index) const { return entries_[index].first; }

  // open gives one of the files, each at most once. Errors: kNotFound (deleted meanwhile).
  Result<File> open(std::size_t index) {
    if (current_ && index + 1 == entries_.size()) return *std::exchange(current_, std::nullopt);
    File file{entries_[index].first, TRY(os::open(entries_[index].path, O_RDONLY)), 0};
    file.size = TRY(size_of(file.fd.get(), entries_[index].path));
    return file;
  }

  Result<Place> newest() const {
    if (entries_.empty()) return Place{};
    if (current_) return Place{current_->first, current_->size};
    const UniqueFd fd = TRY(os::open(entries_.back().path, O_RDONLY));
    return Place{entries_.back().first, TRY(size_of(fd.get(), entries_.back().path))};
  }

 private:
  struct Entry {
    std::uint64_t first;
    os::Path path;
  };
  std::vector<Entry> entries_;
  std::optional<File> current_;
};

struct Page {
  json::Array rows;
  Place next;
  bool end = false;  // of the file
};

Result<Page> read_forward(const File& file, std::uint64_t offset, const EventQuery& query, const EventLimits& limits) {
  const Selector selector(query);
  const std::uint64_t start = std::min(offset, file.size);
  const std::string span =
      TRY(read_span(file.fd.get(), start, std::min<std::uint64_t>(file.size - start, limits.scanned_bytes)));
  Page page;
  std::size_t at = 0;
  while (page.rows.size() < query.limit) {
    const std::size_t end = span.find('\n', at);
    if (end == std::string::npos) break;
    if (auto row = selector.row(std::string_view(span).substr(at, end - at), {file.first, start + at}))
      page.rows.emplace_back(std::move(*row));
    at = end + 1;
  }
  page.next = {file.first, start + at};
  // What is left may be a line that is being written.
  page.end = page.rows.size() < query.limit && start + span.size() == file.size;
  return page;
}

Result<Page> read_backward(const File& file, std::uint64_t offset, const EventQuery& query, const EventLimits& limits) {
  const Selector selector(query);
  const std::uint64_t stop = std::min(offset, file.size);
  const std::uint64_t start = stop > limits.scanned_bytes ? stop - limits.scanned_bytes : 0;
  const std::string span = TRY(read_span(file.fd.get(), start, stop - start));
  Page page;
  // Lines between `first`, where a whole line begins, and `at`, just past a line end.
  const std::size_t first = start == 0 ? 0 : std::min(span.find('\n'), span.size() - 1) + 1;
  std::size_t at = span.rfind('\n') == std::string::npos ? 0 : span.rfind('\n') + 1;
  while (at > first && page.rows.size() < query.limit) {
    const std::size_t before = at == 1 ? std::string::npos : span.rfind('\n', at - 2);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    if (auto row = selector.row(std::string_view(span).substr(begin, at - 1 - begin), {file.first, start + begin}))
      page.rows.emplace_back(std::move(*row));
    at = begin;
  }
  page.next = {file.first, start + std::max(at, first)};
  // A span without progress holds a part of a line longer than any that is written; it is passed over.
  if (at == 0 || page.next.offset >= stop) page.next.offset = start;
  page.end = page.next.offset == 0;
  return page;
}

// To the first file that begins at or after `place`; at the end of each file goes on to the next.
Result<Page> forward(Files& files, const Place& place, const EventQuery& query, const EventLimits& limits) {
  std::size_t index = 0;
  while (index < files.count() && files.first(index) < place.file) ++index;
  if (index == files.count()) return Page{{}, place, true};
  const File file = TRY(files.open(index));
  Page page = TRY(read_forward(file, file.first == place.file ? place.offset : 0, query, limits));
  if (page.end && index + 1 < files.count()) {
    page.next = {files.first(index + 1), 0};
    page.end = false;
  }
  return page;
}

Result<Page> backward(Files& files, const Place& place, const EventQuery& query, const EventLimits& limits) {
  std::size_t index = files.count();
  while (index > 0 && files.first(index - 1) > place.file) --index;
  if (index == 0) return Page{{}, place, true};
  const File file = TRY(files.open(index - 1));
  Page page = TRY(read_backward(file, file.first == place.file ? place.offset : file.size, query, limits));
  if (page.end && index > 1) {
    page.next = {files.first(index - 2), kFileEnd};
    page.end = false;
  }
  return page;
}

}  // namespace

std::string to_text(const Place& place) {
  return fmt::format("{}-{}", place.file, place.offset);
}

Result<Place> parse_place(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return malformed("place: want FILE-OFFSET");
  return Place{TRY(read_number<std::uint64_t>("file", text.substr(0, dash))),
               TRY(read_number<std::uint64_t>("offset", text.substr(dash + 1)))};
}

Result<EventQuery> parse_event_query(std::string_view text, const EventLimits& limits) {
  const auto parameters = sigv4::parse_query(text);
  if (!parameters) return malformed("query: broken escape");
  EventQuery query;
  for (const auto& [name, value] : *parameters) {
    if (name == "before") {
      query.before = TRY(parse_place(value).in(name));
    } else if (name == "after") {
      query.after = TRY(parse_place(value).in(name));
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

json::Object summarize(const json::Value& event, const Place& place) {
  json::Object out{{"id", to_text(place)}};
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
  Files files = TRY(Files::look(path, limits));
  const Place newest = TRY(files.newest());
  auto page = query.after ? forward(files, *query.after, query, limits)
                          : backward(files, query.before.value_or(newest), query, limits);
  // The oldest file may have been deleted while we looked; nothing is older then.
  if (!page.ok() && page.error().code() == ErrorCode::kNotFound) page = Page{{}, newest, true};
  Page found = TRY(std::move(page));
  return json::Object{{"events", std::move(found.rows)},
                      {"next", to_text(found.next)},
                      {"end", found.end},
                      {"newest", to_text(newest)}};
}

Result<json::Value> read_event(const os::Path& path, const Place& place, const EventLimits& limits) {
  Files files = TRY(Files::look(path, limits));
  std::size_t index = 0;
  while (index < files.count() && files.first(index) != place.file) ++index;
  if (index == files.count()) return not_found("no event at {}", to_text(place));
  const File file = TRY(files.open(index));
  const std::uint64_t offset = place.offset;
  if (offset >= file.size) return not_found("no event at {}", to_text(place));
  const std::uint64_t from = offset == 0 ? 0 : offset - 1;
  const std::string span =
      TRY(read_span(file.fd.get(), from, std::min<std::uint64_t>(file.size - from, limits.line_bytes + 1)));
  const std::size_t begin = offset == 0 ? 0 : 1;
  if (begin == 1 && (span.empty() || span.front() != '\n')) return not_found("no event at {}", to_text(place));
  const std::size_t end = span.find('\n', begin);
  if (end == std::string::npos) return over_limit("event at {}: more than {} bytes", to_text(place), limits.line_bytes);
  return json::parse(std::string_view(span).substr(begin, end - begin));
}

}  // namespace casemate::console
