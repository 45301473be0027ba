// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/root_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "os/file.h"
#include "runtime/sandbox/tree.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr const char* kRecord = "record";
constexpr const char* kRoot = "root";
constexpr std::string_view kNew = ".new-";
constexpr std::string_view kGone = ".gone-";
constexpr const char* kUnusable = ".unusable";
// Left free on the file system, beside what is unpacked.
constexpr std::uint64_t kSpareBytes = std::uint64_t{256} << 20;
// Longer than a tick of the kernel's coarse clock: what changes the tree from then on has a ctime of its own.
constexpr std::chrono::milliseconds kSettle{20};

UniqueFd open_folder(int at, const std::string& name) {
  return UniqueFd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool lock(const UniqueFd& folder, int kind) { return folder && ::flock(folder.get(), kind | LOCK_NB) == 0; }

// is_still tells whether `name` is the folder that was opened, or it was removed before it could be locked.
bool is_still(int at, const std::string& name, const UniqueFd& opened) {
  struct stat there {}, ours {};
  return ::fstatat(at, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && ::fstat(opened.get(), &ours) == 0 &&
         there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

Result<RootRecord> read_record(const UniqueFd& entry) {
  const UniqueFd file(::openat(entry.get(), kRecord, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return errno_error(kRecord);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(kRecord);
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) > kMaxRootRecordBytes)
    return over_limit("root record: {} bytes, want at most {}", status.st_size, kMaxRootRecordBytes);
  Bytes data(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < data.size()) {
    const std::size_t count = TRY(os::read_some(file.get(), std::span(data).subspan(done)));
    if (count == 0) break;
    done += count;
  }
  return parse_root_record(ByteView(data).first(done));
}

Result<void> write_record(const UniqueFd& entry, const RootRecord& record) {
  const UniqueFd file(::openat(entry.get(), kRecord, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno_error(kRecord);
  return os::write_all(file.get(), encode_root_record(record));
}

std::vector<std::string> names_in(const std::string& folder) {
  auto names = os::list(folder);
  return names.ok() ? names.take() : std::vector<std::string>();
}

bool is_entry(std::string_view name) { return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

}  // namespace

bool RootCache::usable() const {
  const auto noted = os::read_file(os::Path(folder_) / kUnusable, 64);
  if (!noted.ok()) return true;
  const auto boot = boot_id();
  return !boot.ok() || *noted != encode_hex(*boot);
}

void RootCache::give_up() const {
  const auto boot = boot_id();
  if (boot.ok() && os::make_private_directories(folder_).ok()) (void)os::write_file(os::Path(folder_) / kUnusable, as_bytes(encode_hex(*boot)), 0600);
}

// discard removes an entry that nobody uses.
bool RootCache::discard(int folder, const std::string& name) {
  const UniqueFd entry = open_folder(folder, name);
  if (!lock(entry, LOCK_EX) || !is_still(folder, name, entry)) return false;
  std::string gone = name;
  // Out of sight first: half an entry must not be found.
  if (!name.starts_with(kGone)) {
    gone = fmt::format("{}{}-{}", kGone, ::getpid(), name);
    if (::renameat(folder, name.c_str(), folder, gone.c_str()) != 0) return false;
  }
  (void)remove_tree(folder, gone);
  return true;
}

std::optional<CachedRoot> RootCache::open_entry(const RootKey& key, const std::string& name, const Note& note, bool& damaged) const {
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return std::nullopt;
  CachedRoot found;
  found.lock = open_folder(folder.get(), name);
  if (!lock(found.lock, LOCK_SH) || !is_still(folder.get(), name, found.lock)) return std::nullopt;
  damaged = true;
  const auto record = read_record(found.lock);
  const auto boot = boot_id();
  if (!record.ok() || !boot.ok() || record->key != key) {
    note(fmt::format("unpacked root {}: {}; it is made again", name.substr(0, 16), record.ok() ? "of another image" : record.error().message()));
    return std::nullopt;
  }
  if (record->boot != *boot) return std::nullopt;
  found.tree = open_folder(found.lock.get(), kRoot);
  const auto tree = found.tree ? summarize_tree(found.tree.get(), record->entries) : errno_error(kRoot);
  if (!tree.ok() || tree->entries != record->entries || tree->digest != record->tree) {
    note(fmt::format("unpacked root {}: changed since it was unpacked; it is made again", name.substr(0, 16)));
    return std::nullopt;
  }
  damaged = false;
  // What was used last is what is evicted last.
  (void)::utimensat(found.lock.get(), kRecord, nullptr, 0);
  found.path = fmt::format("{}/{}/{}", folder_, name, kRoot);
  found.bytes = record->bytes;
  found.lists = record->lists;
  return found;
}

std::optional<CachedRoot> RootCache::find(const RootKey& key, const Note& note) const {
  const std::string name = encode_hex(key);
  bool damaged = false;
  auto found = open_entry(key, name, note, damaged);
  if (found || !damaged) return found;
  if (const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); folder) discard(folder.get(), name);
  return std::nullopt;
}

// sweep removes what processes left that were killed while they made or removed an entry.
void RootCache::sweep(int folder) const {
  for (const std::string& name : names_in(folder_)) {
    if (name.starts_with(kNew) || name.starts_with(kGone)) (void)discard(folder, name);
  }
}

struct RootCache::Entry {
  timespec used{};
  std::uint64_t bytes = 0;
  std::string name;
};

bool RootCache::make_room(int folder, std::uint64_t wanted) const {
  if (wanted > most_bytes_) return false;
  std::vector<Entry> entries;
  std::uint64_t total = wanted;
  for (const std::string& name : names_in(folder_)) {
    if (!is_entry(name)) continue;
    const UniqueFd opened = open_folder(folder, name);
    struct stat status {};
    const auto record = read_record(opened);
    // An odd one counts as old and full: it goes first.
    Entry entry{{}, record.ok() ? record->bytes : most_bytes_, name};
    if (record.ok() && ::fstatat(opened.get(), kRecord, &status, AT_SYMLINK_NOFOLLOW) == 0) entry.used = status.st_mtim;
    total = entry.bytes > UINT64_MAX - total ? UINT64_MAX : total + entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.used.tv_sec != b.used.tv_sec ? a.used.tv_sec < b.used.tv_sec : a.used.tv_nsec < b.used.tv_nsec;
  });
  for (const Entry& entry : entries) {
    if (total <= most_bytes_) break;
    if (discard(folder, entry.name)) total -= entry.bytes;
  }
  struct statvfs space {};
  if (::fstatvfs(folder, &space) != 0) return false;
  return total <= most_bytes_ && std::uint64_t{space.f_bavail} * space.f_frsize > wanted + kSpareBytes;
}

std::optional<CachedRoot> RootCache::make(const RootKey& key, std::uint64_t estimate, const Fill& fill, const Note& note) const {
  if (estimate > most_bytes_ || !os::make_private_directories(folder_).ok()) return std::nullopt;
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto boot = boot_id();
  if (!folder || !boot.ok()) return std::nullopt;
  const std::string name = encode_hex(key);
  const std::string staging = std::string(kNew) + name;
  UniqueFd entry;
  {
    // Between making a folder and locking it nobody may take it for a dead process's.
    const auto held = os::FileLock::acquire(os::Path(folder_) / ".lock", std::chrono::seconds(10));
    if (!held.ok()) return std::nullopt;
    sweep(folder.get());
    if (!make_room(folder.get(), estimate)) return std::nullopt;
    if (::mkdirat(folder.get(), staging.c_str(), 0700) != 0) return std::nullopt;  // another process makes it just now
    entry = open_folder(folder.get(), staging);
    if (!lock(entry, LOCK_EX)) return std::nullopt;
  }
  const auto give_back = [&](const Error& error) {
    note(fmt::format("unpacked root {}: not kept: {}", name.substr(0, 16), error.message()));
    (void)remove_tree(folder.get(), staging);
    return std::nullopt;
  };
  if (::mkdirat(entry.get(), kRoot, 0755) != 0) return give_back(errno_error(kRoot));
  CachedRoot made;
  made.tree = open_folder(entry.get(), kRoot);
  if (!made.tree) return give_back(errno_error(kRoot));
  auto lists = fill(made.tree.get());
  if (!lists.ok()) return give_back(lists.error());
  std::this_thread::sleep_for(kSettle);
  const auto tree = summarize_tree(made.tree.get(), kMostEntries);
  if (!tree.ok()) return give_back(tree.error());
  made.bytes = tree->bytes;
  made.lists = *lists;
  if (auto written = write_record(entry, {*boot, key, tree->entries, tree->bytes, tree->digest, lists.take()}); !written.ok())
    return give_back(written.error());
  // Fails where there is one already, in use by others although it is not what it was.
  if (::renameat(folder.get(), staging.c_str(), folder.get(), name.c_str()) != 0) return give_back(errno_error(name));
  // Not in one step: another may have removed it in between.
  if (!lock(entry, LOCK_SH) || !is_still(folder.get(), name, entry)) return std::nullopt;
  made.lock = std::move(entry);
  made.path = fmt::format("{}/{}/{}", folder_, name, kRoot);
  return made;
}

}  // namespace casemate::runtime::sandbox
