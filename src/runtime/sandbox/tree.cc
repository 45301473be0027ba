// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/fd.h"

namespace casemate::runtime::sandbox {
namespace {

constexpr std::size_t kChunk = 64 * 1024;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

Result<std::vector<std::string>> names_in(int folder, std::uint64_t most) {
  // A description of its own: reading moves the position.
  const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return errno_error("folder");
  const std::unique_ptr<DIR, CloseFolder> entries(::fdopendir(again));
  if (!entries) {
    ::close(again);
    return errno_error("folder");
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr && errno != 0) return errno_error("folder");
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() >= most) return over_limit("tree: more than {} entries", most);
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Walk {
 public:
  explicit Walk(std::uint64_t most) : most_(most), hasher_(crypto::Hash::kSha256) {}

  Result<TreeSummary> run(int root) {
    struct stat status {};
    if (::fstat(root, &status) != 0) return errno_error("tree");
    device_ = status.st_dev;
    add(status, "", "");
    TRY(visit(root, 0));
    hasher_.update(pending_);
    const Bytes digest = hasher_.finish();
    std::copy(digest.begin(), digest.end(), summary_.digest.begin());
    return summary_;
  }

 private:
  Result<void> visit(int folder, std::size_t depth) {
    if (depth > kMaxTreeDepth) return over_limit("tree: deeper than {} folders", kMaxTreeDepth);
    for (const std::string& name : TRY(names_in(folder, most_ - std::min(most_, summary_.entries)))) {
      struct stat status {};
      if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(name);
      if (status.st_dev != device_) return untrusted("tree: {} is of another file system", name);
      std::string target;
      if (S_ISLNK(status.st_mode)) target = TRY(target_of(folder, name));
      add(status, name, target);
      if (!S_ISDIR(status.st_mode)) continue;
      const UniqueFd inner(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner) return errno_error(name);
      TRY(visit(inner.get(), depth + 1));
    }
    append_be<1>(pending_, 0xff);  // up again
    return {};
  }

  static Result<std::string> target_of(int folder, const std::string& name) {
    char buffer[4097];
    const ssize_t size = ::readlinkat(folder, name.c_str(), buffer, sizeof buffer);
    if (size < 0) return errno_error(name);
    return std::string(buffer, static_cast<std::size_t>(size));
  }

  void add(const struct stat& status, std::string_view name, std::string_view target) {
    const std::uint64_t fields[] = {status.st_mode,
                                    status.st_uid,
                                    status.st_gid,
                                    status.st_nlink,
                                    static_cast<std::uint64_t>(status.st_size),
                                    static_cast<std::uint64_t>(status.st_mtim.tv_sec),
                                    static_cast<std::uint64_t>(status.st_mtim.tv_nsec),
                                    static_cast<std::uint64_t>(status.st_ctim.tv_sec),
                                    static_cast<std::uint64_t>(status.st_ctim.tv_nsec),
                                    status.st_ino,
                                    status.st_rdev,
                                    name.size(),
                                    target.size()};
    append_be<1>(pending_, 1);
    append(pending_, {reinterpret_cast<const std::uint8_t*>(fields), sizeof fields});
    append(pending_, as_bytes(name));
    append(pending_, as_bytes(target));
    if (pending_.size() > kChunk) {
      hasher_.update(pending_);
      pending_.clear();
    }
    ++summary_.entries;
    summary_.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  std::uint64_t most_;
  dev_t device_ = 0;
  crypto::Hasher hasher_;
  Bytes pending_;
  TreeSummary summary_;
};

// The bound keeps within the descriptors of any process; a tree that deep is none of ours.
constexpr std::size_t kMaxRemovedDepth = 4 * kMaxTreeDepth;

bool remove_entry(int folder, const std::string& name, std::size_t depth) {
  if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (depth > kMaxRemovedDepth) return false;
  UniqueFd inner(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner && errno == EACCES && ::fchmodat(folder, name.c_str(), 0700, 0) == 0)
    inner.reset(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner) return false;
  // A folder that its owner may not write to cannot be emptied.
  (void)::fchmod(inner.get(), 0700);
  const auto names = names_in(inner.get(), UINT64_MAX);
  if (!names.ok()) return false;
  for (const std::string& more : *names) (void)remove_entry(inner.get(), more, depth + 1);
  return ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0;
}

}  // namespace

Result<TreeSummary> summarize_tree(int root, std::uint64_t most_entries) { return Walk(most_entries).run(root); }

bool remove_tree(int folder, const std::string& name) { return remove_entry(folder, name, 0); }

}  // namespace casemate::runtime::sandbox
