// SPDX-License-Identifier: Apache-2.0
#include "audit/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace casemate::audit {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::string_view kDecimalDigits = "0123456789";

std::string text_at(const json::Value& value, std::string_view name) {
  const std::string* text = value.string_at(name);
  return text == nullptr ? std::string() : *text;
}

// LineReader reads a file forwards, a line at a time, of at most kLongestLine bytes.
class LineReader {
 public:
  static Result<LineReader> open(const os::Path& path) {
    UniqueFd file = TRY(os::open(path, O_RDONLY));
    return LineReader(std::move(file));
  }

  // next gives a line without its end, or nothing at the end of the file. Errors: kMalformed (a last line without end).
  Result<std::optional<std::string>> next() {
    for (;;) {
      const std::size_t end = buffer_.find('\n', at_);
      if (end != std::string::npos) {
        std::string line = buffer_.substr(at_, end - at_);
        at_ = end + 1;
        return std::optional<std::string>(std::move(line));
      }
      buffer_.erase(0, at_);
      at_ = 0;
      if (buffer_.size() > kLongestLine) return over_limit("line longer than {} bytes", kLongestLine);
      const std::size_t had = buffer_.size();
      buffer_.resize(had + kPiece);
      const std::size_t got =
          TRY(os::read_some(file_.get(), {reinterpret_cast<std::uint8_t*>(buffer_.data()) + had, kPiece}));
      buffer_.resize(had + got);
      if (got != 0) continue;
      if (!buffer_.empty()) return malformed("no line end");
      return std::optional<std::string>();
    }
  }

 private:
  explicit LineReader(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
  std::string buffer_;
  std::size_t at_ = 0;
};

Result<void> verify_file(const os::Path& path, Verified& out) {
  LineReader reader = TRY(LineReader::open(path));
  for (std::size_t number = 1;; ++number) {
    const std::string step = fmt::format("line {}", number);
    const auto line = TRY(reader.next().in(step));
    if (!line) break;
    if (out.events == 0) {
      // The chain's beginning may have been deleted with the oldest files: it starts wherever the first line says.
      const Sealed sealed = TRY(check_line(*line).in(step));
      out.first_sequence = sealed.sequence;
      if (sealed.sequence != 1) out.last = {sealed.sequence - 1, std::string(sealed.previous)};
    }
    TRY(check_next(*line, out.last).in(step));
    ++out.events;
  }
  ++out.files;
  return {};
}

bool matches(const json::Value& event, const EventQuery& query) {
  if (!query.request_id.empty() && text_at(event, "requestID") != query.request_id) return false;
  if (!query.access_key_id.empty()) {
    const json::Value* identity = event.find("userIdentity");
    if (identity == nullptr || text_at(*identity, "accessKeyId") != query.access_key_id) return false;
  }
  if (!query.denied_only) return true;
  const json::Value* decision = decision_of(event);
  return decision != nullptr && text_at(*decision, "decision") != "Allowed" && !text_at(*decision, "decision").empty();
}

std::optional<json::Value> match_line(std::string_view line, const EventQuery& query) {
  // A line without the id cannot be the one: spare its parsing. (Every line holds an empty one.)
  for (const std::string_view id : {std::string_view(query.request_id), std::string_view(query.access_key_id)}) {
    if (line.find(id) == std::string_view::npos) return std::nullopt;
  }
  auto event = json::parse(line);
  if (!event || event->if_object() == nullptr || !matches(*event, query)) return std::nullopt;
  return event.take();
}

Error none_found(const EventQuery& query) {
  if (!query.request_id.empty()) return not_found("no event of request {}", query.request_id.substr(0, 64));
  if (!query.access_key_id.empty()) return not_found("no event of access key {}", query.access_key_id.substr(0, 64));
  return query.denied_only ? not_found("no denied request") : not_found("no event");
}

// search_back reads a file from its end in pieces.
Result<std::optional<json::Value>> search_back(const os::Path& path, const EventQuery& query) {
  const UniqueFd file = TRY(os::open(path, O_RDONLY));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(path.native());
  auto offset = static_cast<std::uint64_t>(status.st_size);
  std::string rest;  // what is not searched yet: it ends where the last searched line began
  while (offset > 0 || !rest.empty()) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(offset, kPiece));
    std::string piece(size, '\0');
    os::FdSource source(file.get(), offset - size, size);
    for (std::size_t done = 0; done < size;) {
      const std::size_t got = TRY(source.read({reinterpret_cast<std::uint8_t*>(piece.data()) + done, size - done}));
      if (got == 0) break;
      done += got;
    }
    offset -= size;
    rest.insert(0, piece);
    for (std::size_t mark; (mark = rest.rfind('\n')) != std::string::npos || offset == 0;) {
      const std::size_t start = mark == std::string::npos ? 0 : mark + 1;
      if (auto found = match_line(std::string_view(rest).substr(start), query)) return found;
      rest.resize(mark == std::string::npos ? 0 : mark);
      if (rest.empty()) break;
    }
    if (rest.size() > 2 * kLongestLine) return over_limit("{}: line longer than {} bytes", path.native(), kLongestLine);
  }
  return std::optional<json::Value>();
}

}  // namespace

os::Path head_path(const os::Path& current) {
  return current.parent_path() / (current.stem().native() + ".head");
}

os::Path torn_path(const os::Path& current) {
  return current.parent_path() / (current.stem().native() + ".torn");
}

os::Path rotated_path(const os::Path& current, std::uint64_t first_sequence) {
  return current.parent_path() /
         fmt::format("{}-{:012}{}", current.stem().native(), first_sequence, current.extension().native());
}

Result<std::vector<os::Path>> rotated_files(const os::Path& current) {
  const std::string prefix = current.stem().native() + "-";
  const std::string suffix = current.extension().native();
  std::vector<os::Path> out;
  for (const std::string& name : TRY(os::list(current.parent_path()))) {
    if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    const auto middle = std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    if (middle.find_first_not_of(kDecimalDigits) == std::string_view::npos) out.push_back(current.parent_path() / name);
  }
  return out;
}

Result<Link> last_of_rotated(const os::Path& current) {
  const auto files = TRY(rotated_files(current));
  Link last;
  if (files.empty()) return last;
  LineReader reader = TRY(LineReader::open(files.back()));
  for (;;) {
    const auto line = TRY(reader.next().in(files.back().native()));
    if (!line) return last;
    const auto sealed = check_line(*line);
    if (sealed.ok()) last = {sealed->sequence, std::string(sealed->hash)};
  }
}

Result<Verified> verify_files(const os::Path& current) {
  Verified out;
  for (const os::Path& path : TRY(rotated_files(current))) TRY(verify_file(path, out).in(path.native()));
  TRY(verify_file(current, out).in(current.native()));
  const auto text = os::read_file(head_path(current), kHeadSize);
  if (!text.ok() && text.error().code() == ErrorCode::kNotFound) return out;
  const Link head = TRY(parse_head(TRY(text)).in(head_path(current).native()));
  if (head.sequence > out.last.sequence)
    return untrusted("{}: {} events are missing at the end", current.native(), head.sequence - out.last.sequence);
  if (head.sequence == out.last.sequence && head.hash != out.last.hash)
    return untrusted("{}: the last event is not the one that the head names", current.native());
  return out;
}

const json::Value* decision_of(const json::Value& event) {
  const json::Value* additional = event.find("additionalEventData");
  const json::Value* own = additional == nullptr ? nullptr : additional->find("casemate");
  return own == nullptr ? nullptr : own->find("decision");
}

Result<json::Value> find_event(std::string_view log, const EventQuery& query) {
  while (!log.empty()) {
    if (log.back() == '\n') log.remove_suffix(1);
    const std::size_t start = log.rfind('\n');
    if (auto found = match_line(start == std::string_view::npos ? log : log.substr(start + 1), query)) return *found;
    log = start == std::string_view::npos ? std::string_view{} : log.substr(0, start + 1);
  }
  return none_found(query);
}

Result<json::Value> find_event_in(const os::Path& current, const EventQuery& query) {
  std::vector<os::Path> files = TRY(rotated_files(current));
  files.push_back(current);
  for (auto path = files.rbegin(); path != files.rend(); ++path) {
    const auto found = search_back(*path, query);
    // A file may be put aside or deleted while we look.
    if (!found.ok() && found.error().code() == ErrorCode::kNotFound && *path != current) continue;
    if (!found.ok()) return found.error();
    if (*found) return **found;
  }
  return none_found(query);
}

}  // namespace casemate::audit
