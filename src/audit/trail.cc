// SPDX-License-Identifier: Apache-2.0
#include "audit/trail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/files.h"
#include "base/time_text.h"

namespace casemate::audit {
namespace {

os::Path reserve_path(const os::Path& current) {
  return current.parent_path() / (current.stem().native() + ".reserve");
}

constexpr std::uint64_t kTailWindow = 2 * kLongestLine;
// A turn of the server holds some lines of about 1 KiB.
constexpr std::size_t kMostHeldBytes = 256 * 1024;

Result<std::string> read_range(int fd, std::uint64_t from, std::uint64_t to) {
  std::string text(static_cast<std::size_t>(to - from), '\0');
  os::FdSource source(fd, from, text.size());
  for (std::size_t done = 0; done < text.size();) {
    const std::size_t got = TRY(source.read({reinterpret_cast<std::uint8_t*>(text.data()) + done, text.size() - done}));
    if (got == 0) return internal("file became shorter");
    done += got;
  }
  return text;
}

Result<void> sync_directory(const os::Path& path) {
  const UniqueFd directory = TRY(os::open(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(directory.get()) != 0) return errno_error(path.native());
  return {};
}

// Tail is where the last whole event ends.
struct Tail {
  std::uint64_t end = 0;
  Link last;
};

// read_tail goes back from the end to the last line whose seal is right.
Result<Tail> read_tail(int fd, std::uint64_t size) {
  const std::uint64_t from = size > kTailWindow ? size - kTailWindow : 0;
  const std::string text = TRY(read_range(fd, from, size));
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t line_end = text.rfind('\n', end - 1);
    if (line_end == std::string::npos) break;
    const std::size_t before = line_end == 0 ? std::string::npos : text.rfind('\n', line_end - 1);
    const std::size_t start = before == std::string::npos ? 0 : before + 1;
    // The first line of the window may have begun before it.
    const bool whole = before != std::string::npos || from == 0;
    const auto sealed = check_line(std::string_view(text).substr(start, line_end - start));
    if (whole && sealed.ok()) return Tail{from + line_end + 1, {sealed->sequence, std::string(sealed->hash)}};
    end = start;
  }
  if (from != 0) return malformed("no whole event in the last {} bytes", kTailWindow);
  return Tail{};
}

Result<std::uint64_t> first_sequence_of(int fd, std::uint64_t size) {
  const std::string text = TRY(read_range(fd, 0, std::min<std::uint64_t>(size, kLongestLine)));
  const auto sealed = check_line(std::string_view(text).substr(0, text.find('\n')));
  // A first line that was changed names no event: verification says so; the file still needs a name.
  return sealed.ok() ? sealed->sequence : 0;
}

bool is_read_only(const json::Object& event) {
  const json::Value* read_only = event.find("readOnly");
  const bool* flag = read_only == nullptr ? nullptr : read_only->if_bool();
  return flag == nullptr || *flag;
}

Result<std::string> encode_event(const json::Object& event) {
  CASEMATE_CHECK(event.find("casemate") == nullptr);
  std::string text = json::encode(event);
  if (text.size() > kLongestLine - 512) return over_limit("audit event: {} bytes, at most {}", text.size(), kLongestLine - 512);
  return text;
}

json::Object repair_event(const Repair& repair, WallTime now) {
  return {{"eventVersion", "1.11"},
          {"eventTime", format_rfc3339(now)},
          {"eventSource", "casemate.internal"},
          {"eventName", "AuditRepaired"},
          {"eventType", "AwsServiceEvent"},
          {"readOnly", false},
          {"serviceEventDetails",
           json::Object{{"removedBytes", repair.removed_bytes}, {"lostEvents", repair.lost_events}}}};
}

}  // namespace

Result<std::unique_ptr<Trail>> Trail::open(const os::Path& path, WallTime now, const TrailOptions& options) {
  std::unique_ptr<Trail> trail(new Trail(path, options));
  TRY(trail->recover().in(path.native()));
  trail->has_room_for_changes();
  if (trail->repair_.removed_bytes != 0 || trail->repair_.lost_events != 0)
    TRY(trail->append(repair_event(trail->repair_, now)));
  return trail;
}

Result<void> Trail::recover() {
  file_ = std::make_shared<UniqueFd>(TRY(os::open(path_, O_RDWR | O_CREAT | O_APPEND, 0600)));
  head_ = TRY(os::open(head_path(path_), O_RDWR | O_CREAT, 0600));
  const int fd = file_->get();
  if (::fchmod(fd, 0600) != 0) return errno_error("chmod");
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errno_error("stat");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const Tail tail = TRY(read_tail(fd, size));
  last_ = tail.last;
  if (tail.end < size) {
    const std::string torn = TRY(read_range(fd, tail.end, size));
    const UniqueFd kept = TRY(os::open(torn_path(path_), O_WRONLY | O_CREAT | O_APPEND, 0600));
    TRY(os::write_all(kept.get(), as_bytes(torn + "\n")));
    if (::fsync(kept.get()) != 0) return errno_error("audit.torn");
    if (::ftruncate(fd, static_cast<off_t>(tail.end)) != 0) return errno_error("truncate");
    repair_.removed_bytes = size - tail.end;
  }
  size_ = tail.end;
  if (size_ == 0) last_ = TRY(last_of_rotated(path_));
  first_sequence_ = size_ == 0 ? last_.sequence + 1 : TRY(first_sequence_of(fd, size_));

  std::array<std::uint8_t, kHeadSize> text;
  const ssize_t got = ::pread(head_.get(), text.data(), text.size(), 0);
  if (got == static_cast<ssize_t>(text.size())) {
    const auto head = parse_head(as_text(text));
    if (head.ok() && head->sequence > last_.sequence) repair_.lost_events = head->sequence - last_.sequence;
  }
  if (::fdatasync(fd) != 0) return errno_error("sync");
  written_ = last_;
  synced_ = last_.sequence;
  return {};
}

Result<void> Trail::write_lines() {
  const auto written = os::write_all(file_->get(), as_bytes(placed_));
  if (!written.ok()) {
    // Half a line must not stay in front of the next one.
    broken_ = ::ftruncate(file_->get(), static_cast<off_t>(size_)) != 0;
    return written.error();
  }
  size_ += placed_.size();
  return {};
}

bool Trail::take_reserve() {
  // Some thousand events.
  constexpr off_t kReserve = 1024 * 1024;
  const auto file = os::open(reserve_path(path_), O_RDWR | O_CREAT, 0600);
  has_reserve_ = file.ok() && ::posix_fallocate(file->get(), 0, kReserve) == 0;
  if (has_reserve_) return true;
  // Half of it helps nobody.
  if (const auto removed = os::remove(reserve_path(path_)); !removed.ok()) return false;
  return false;
}

bool Trail::has_room_for_changes() {
  const std::lock_guard lock(mutex_);
  return has_reserve_ || take_reserve();
}

void Trail::place(std::string event) {
  placed_ += seal_line(std::move(event), last_);
  placed_ += '\n';
}

Result<void> Trail::write_placed() {
  auto written = [&]() -> Result<void> {
    if (broken_) return internal("audit log: an earlier write or sync failed");
    if (size_ >= options_.file_bytes) TRY(rotate());
    auto first_try = write_lines();
    if (first_try.ok() || first_try.error().code() != ErrorCode::kLimit || !has_reserve_) return first_try;
    TRY(os::remove(reserve_path(path_)));
    has_reserve_ = false;
    return write_lines();
  }();
  if (written.ok()) {
    written_ = last_;
    const std::string head = head_text(written_);
    if (::pwrite(head_.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) written = errno_error("audit.head");
  }
  if (!written.ok() && holds_) lost_ = written.error();
  last_ = written_;
  placed_.clear();
  holds_ = false;
  return written;
}

Result<void> Trail::append(const json::Object& event) {
  const bool durable = !is_read_only(event);
  std::string text = TRY(encode_event(event));
  std::unique_lock lock(mutex_);
  place(std::move(text));
  TRY(write_placed());
  if (!durable) return {};
  return sync(written_.sequence, lock);
}

Result<void> Trail::hold(const json::Object& event) {
  CASEMATE_CHECK(is_read_only(event));
  std::string text = TRY(encode_event(event));
  const std::lock_guard lock(mutex_);
  place(std::move(text));
  holds_ = true;
  // Its failure is put_held's to tell.
  if (placed_.size() >= kMostHeldBytes) [[maybe_unused]] const auto written = write_placed();
  return {};
}

Result<void> Trail::put_held() {
  const std::lock_guard lock(mutex_);
  if (holds_) [[maybe_unused]] const auto written = write_placed();
  if (!lost_) return {};
  Error why = std::move(*lost_);
  lost_.reset();
  return why;
}

Result<void> Trail::sync(std::uint64_t sequence, std::unique_lock<std::mutex>& lock) {
  while (synced_ < sequence) {
    if (broken_) return internal("audit log: an earlier write or sync failed");
    if (syncing_) {
      synced_changed_.wait(lock);
      continue;
    }
    syncing_ = true;
    const std::uint64_t target = written_.sequence;
    const std::shared_ptr<UniqueFd> file = file_;
    lock.unlock();
    const int failed = ::fdatasync(file->get()) == 0 ? 0 : errno;
    lock.lock();
    syncing_ = false;
    broken_ = broken_ || failed != 0;
    if (failed == 0) synced_ = std::max(synced_, target);
    synced_changed_.notify_all();
    if (failed != 0) return errno_error("audit log: sync", failed);
  }
  return {};
}

Result<void> Trail::rotate() {
  // Before the name changes everything is on the disk, so that a sync of the new file speaks for the old one too.
  if (::fdatasync(file_->get()) != 0) {
    broken_ = true;
    return errno_error("audit log: sync");
  }
  synced_ = written_.sequence;
  const os::Path aside = rotated_path(path_, first_sequence_);
  if (::rename(path_.c_str(), aside.c_str()) != 0) return errno_error(aside.native());
  file_ = std::make_shared<UniqueFd>(TRY(os::open(path_, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600)));
  TRY(sync_directory(path_.parent_path()));
  size_ = 0;
  first_sequence_ = written_.sequence + 1;
  if (options_.files == 0) return {};
  auto kept = TRY(rotated_files(path_));
  for (std::size_t i = 0; i + options_.files < kept.size(); ++i) TRY(os::remove(kept[i]));
  return {};
}

}  // namespace casemate::audit
