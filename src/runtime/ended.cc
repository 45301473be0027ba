// SPDX-License-Identifier: Apache-2.0
#include "runtime/ended.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "json/value.h"

namespace casemate::runtime {
namespace {

constexpr std::string_view kRecord = "exit.json";
constexpr std::string_view kConsole = "console";
constexpr std::size_t kRecordBytes = 16 * 1024;
constexpr std::size_t kConsoleBytes = 64 * 1024 * 1024;

os::Path folder_of(const os::Paths& paths) { return paths.run / "ended"; }

bool is_id(std::string_view id) { return !id.empty() && id.front() != '.' && id.find('/') == std::string_view::npos; }

Result<Ended> decode(std::string_view text) {
  const json::Value value = TRY(json::parse(text));
  const std::string* id = value.string_at("id");
  const std::string* name = value.string_at("name");
  const std::int64_t* status = value.int_at("status");
  const std::int64_t* when = value.int_at("when_ms");
  const json::Value* signalled = value.find("signalled");
  const json::Value* debug_mode = value.find("debug_mode");
  if (id == nullptr || name == nullptr || status == nullptr || when == nullptr || signalled == nullptr || debug_mode == nullptr)
    return malformed("want id, name, debug_mode, signalled, status and when_ms");
  if (*status < 0 || *status > std::numeric_limits<int>::max()) return malformed("status: {}", *status);
  return Ended{*id, *name, *debug_mode == json::Value(true), {*signalled == json::Value(true), static_cast<int>(*status)},
               WallTime(std::chrono::milliseconds(*when))};
}

Result<std::vector<Ended>> all(const os::Paths& paths) {
  std::vector<Ended> found;
  for (const std::string& name : TRY(os::list(folder_of(paths)))) {
    const Result<std::string> text = os::read_file(folder_of(paths) / name / kRecord, kRecordBytes);
    if (!text) continue;  // being written or removed
    found.push_back(TRY(decode(*text).in(fmt::format("ended/{}/{}", name, kRecord))));
  }
  std::sort(found.begin(), found.end(), [](const Ended& a, const Ended& b) { return a.when > b.when; });
  return found;
}

}  // namespace

Result<void> keep_ended(const os::Paths& paths, const Ended& ended, const ConsoleRing& console) {
  CASEMATE_CHECK(is_id(ended.id));
  const os::Path folder = folder_of(paths) / ended.id;
  TRY(os::make_private_directories(folder));
  if (ended.debug_mode) {
    const UniqueFd file = TRY(os::open(folder / kConsole, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    for (std::uint64_t position = console.begin(); position < console.end();) {
      const ByteView part = console.read(position);
      TRY(os::write_all(file.get(), part));
      position += part.size();
    }
  }
  const std::string text = json::encode(json::Object{{"id", ended.id},
                                                     {"name", ended.name},
                                                     {"debug_mode", ended.debug_mode},
                                                     {"signalled", ended.exit.signalled},
                                                     {"status", ended.exit.status},
                                                     {"when_ms", std::int64_t{ended.when.time_since_epoch().count()}}});
  // The record last: with it the folder counts. Run files need no fsync.
  const os::Path temporary = folder / ".exit";
  {
    const UniqueFd file = TRY(os::open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    TRY(os::write_all(file.get(), as_bytes(text)));
  }
  std::error_code error;
  std::filesystem::rename(temporary, folder / kRecord, error);
  if (error) return internal("{}: {}", (folder / kRecord).native(), error.message());

  std::vector<Ended> known = TRY(all(paths));
  for (std::size_t i = kKeptEnded; i < known.size(); ++i) std::filesystem::remove_all(folder_of(paths) / known[i].id, error);
  return {};
}

Result<std::optional<Ended>> find_ended(const os::Paths& paths, std::string_view id, std::string_view name) {
  for (Ended& ended : TRY(all(paths))) {
    if (id.empty() ? ended.name == name : ended.id == id) return std::optional<Ended>(std::move(ended));
  }
  return std::optional<Ended>();
}

Result<std::string> read_ended_console(const os::Paths& paths, const Ended& ended) {
  if (!ended.debug_mode) return denied("enclave {}: not run in debug mode, it had no console", ended.id);
  if (!is_id(ended.id)) return malformed("enclave ID `{}`", ended.id);
  return os::read_file(folder_of(paths) / ended.id / kConsole, kConsoleBytes);
}

}  // namespace casemate::runtime
