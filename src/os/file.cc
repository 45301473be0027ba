// SPDX-License-Identifier: Apache-2.0
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

namespace casemate::os {
namespace {

Result<std::string> read_fd(int fd, const Path& path, std::size_t limit) {
  std::string text;
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error(path.native());
  if (S_ISDIR(info.st_mode)) return Error{ErrorCode::kMalformed, path.native() + ": is a directory, want a file"};
  if (info.st_size > 0) text.reserve(std::min(limit, static_cast<std::size_t>(info.st_size)));
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(path.native());
    if (count == 0) break;
    if (static_cast<std::size_t>(count) > limit - text.size()) {
      zeroize(buffer, sizeof buffer);
      return over_limit("{}: longer than {} bytes", path.native(), limit);
    }
    text.append(buffer, static_cast<std::size_t>(count));
  }
  zeroize(buffer, sizeof buffer);
  return text;
}

Path parent_of(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

Result<void> sync_directory(const Path& directory) {
  const UniqueFd fd = TRY(open(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return errno_error(directory.native());
  return {};
}

// TemporaryFile is unlinked unless it was put in place.
struct TemporaryFile {
  Path path;
  UniqueFd fd;
  bool kept = false;
  ~TemporaryFile() {
    if (!kept && !path.empty()) ::unlink(path.c_str());
  }
};

Result<std::unique_ptr<TemporaryFile>> write_temporary(const Path& path, ByteView data, unsigned mode) {
  auto file = std::make_unique<TemporaryFile>();
  std::string name = (parent_of(path) / ("." + path.filename().native() + ".XXXXXX")).native();
  file->fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!file->fd) return errno_error(path.native());
  file->path = name;
  if (::fchmod(file->fd.get(), mode) != 0) return errno_error(path.native());
  TRY(write_all(file->fd.get(), data).in(path.native()));
  if (::fsync(file->fd.get()) != 0) return errno_error(path.native());
  return file;
}

}  // namespace

Result<UniqueFd> open(const Path& path, int flags, unsigned mode) {
  for (;;) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    if (errno != EINTR) return errno_error(path.native());
  }
}

Result<std::string> read_file(const Path& path, std::size_t limit) {
  const UniqueFd fd = TRY(open(path, O_RDONLY));
  return read_fd(fd.get(), path, limit);
}

Result<Secret> read_secret_file(const Path& path, std::size_t limit) {
  const UniqueFd fd = TRY(open(path, O_RDONLY | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_error(path.native());
  if ((info.st_mode & 077) != 0) {
    return denied("{}: mode {:04o}, want 0600: others must not reach a key", path.native(), info.st_mode & 07777);
  }
  std::string text = TRY(read_fd(fd.get(), path, limit));
  Secret secret = Secret::copy_of(as_bytes(text));
  zeroize(text.data(), text.size());
  return secret;
}

Result<void> write_file(const Path& path, ByteView data, unsigned mode) {
  const auto file = TRY(write_temporary(path, data, mode));
  if (::rename(file->path.c_str(), path.c_str()) != 0) return errno_error(path.native());
  file->kept = true;
  return sync_directory(parent_of(path));
}

Result<void> create_file(const Path& path, ByteView data, unsigned mode) {
  const auto file = TRY(write_temporary(path, data, mode));
  if (::link(file->path.c_str(), path.c_str()) != 0) return errno_error(path.native());
  return sync_directory(parent_of(path));
}

Result<void> make_private_directories(const Path& path) {
  Path prefix;
  for (const Path& part : path) {
    prefix /= part;
    if (::mkdir(prefix.c_str(), 0700) != 0 && errno != EEXIST) {
      const int number = errno;
      struct stat info {};
      if (::stat(prefix.c_str(), &info) != 0) return errno_error(prefix.native(), number);
    }
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_error(path.native());
  if (!S_ISDIR(info.st_mode)) return Error{ErrorCode::kConflict, path.native() + ": exists and is no directory"};
  if (info.st_uid != ::geteuid() || (info.st_mode & 022) != 0) {
    return denied("{}: owner {} and mode {:04o}, want a directory of user {} that others cannot write", path.native(), info.st_uid,
                  info.st_mode & 07777, ::geteuid());
  }
  return {};
}

Result<std::vector<std::string>> list(const Path& directory) {
  struct Close {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir(directory.c_str()));
  if (!dir) {
    if (errno == ENOENT) return std::vector<std::string>{};
    return errno_error(directory.native());
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> remove(const Path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(path.native());
  return {};
}

Result<void> write_all(int fd, ByteView data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("write");
    data = data.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::size_t> read_some(int fd, std::span<std::uint8_t> out) {
  for (;;) {
    const ssize_t count = ::read(fd, out.data(), out.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return errno_error("read");
  }
}

Result<FileLock> FileLock::acquire(const Path& path, std::chrono::milliseconds patience) {
  UniqueFd fd = TRY(open(path, O_RDWR | O_CREAT, 0600));
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return errno_error(path.native());
    if (std::chrono::steady_clock::now() >= give_up) {
      return unavailable("{}: locked by another process for {} ms", path.native(), patience.count());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return FileLock(std::move(fd));
}

Result<std::size_t> FdSource::read(std::span<std::uint8_t> out) {
  const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_));
  if (want == 0) return std::size_t{0};
  for (;;) {
    const ssize_t count = ::pread(fd_, out.data(), want, static_cast<off_t>(offset_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("read");
    offset_ += static_cast<std::uint64_t>(count);
    left_ -= static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }
}

Result<std::uint64_t> FdSource::pass(std::uint64_t count) {
  count = std::min(count, left_);
  offset_ += count;
  left_ -= count;
  return count;
}

}  // namespace casemate::os
